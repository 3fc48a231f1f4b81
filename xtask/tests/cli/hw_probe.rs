//! `cargo xtask hw probe`: what is wrong with its input, and what it makes of a result. Nothing is measured.

use std::{fs::File, process::Command};

use super::Folder;

const RECORDED: &str = include_str!("../../hw/tests/probe/box.json");

fn refused(args: &[&str], expect: &str) {
    let folder = Folder::new(&[("box.json", RECORDED), ("empty.json", "")]);
    let run = folder.run(&[&["hw", "probe"], args].concat());
    assert_eq!(
        (run.code, run.out.as_str()),
        (2, ""),
        "{args:?}: {}",
        run.err
    );
    assert!(run.err.starts_with(expect), "{args:?}: {}", run.err);
}

#[test]
fn what_cannot_be_measured_or_read_is_refused_with_what_to_type() {
    refused(
        &["--only", "A3,A99"],
        "error: there is no measurement `A99`\nhelp: there are A1 (reading a clock), A2 (",
    );
    refused(
        &["--cpus", "a-b"],
        "error: `a-b` is no list of cpus\nhelp: write it as `0-3,8`",
    );
    refused(
        &["--cpus", "1000"],
        "error: this process may not run on cpu 1000\nhelp: it may use ",
    );
    refused(
        &["--from", "missing.json"],
        "error: cannot read `missing.json`: ",
    );
    refused(
        &["--from", "empty.json"],
        "error: `empty.json` is not a result of `hw`: ",
    );
    refused(
        &["--seconds", "0"],
        "error: invalid value '0' for '--seconds <N>'",
    );
    refused(
        &["--from", "box.json", "--long"],
        "error: the argument '--from <FILE>' cannot be used with '--long'",
    );
}

#[test]
fn a_result_is_shown_as_text_as_json_as_one_line_and_as_a_page() {
    let folder = Folder::new(&[("box.json", RECORDED)]);
    let show = |more: &[&str]| folder.run(&[&["hw", "probe", "--from", "box.json"], more].concat());
    let text = show(&[]);
    assert_eq!((text.code, text.err.as_str()), (0, ""));
    assert!(
        text.out.contains(" A7 from cpu to cpu\n") && text.out.contains("\nfloor clock "),
        "{}",
        text.out
    );
    assert_eq!(show(&["--json"]).out, RECORDED);
    let line = show(&["--quiet", "--html", "page.html"]);
    assert!(
        line.out.starts_with("floor clock ") && line.out.lines().count() == 1,
        "{}",
        line.out
    );
    let page = std::fs::read_to_string(folder.0.path().join("page.html")).expect("it was written");
    assert!(page.ends_with("</html>\n") && page.contains("One way from cpu to cpu"));
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let folder = Folder::new(&[("box.json", RECORDED)]);
    let run = folder.run(&[
        "hw",
        "probe",
        "--from",
        "box.json",
        "--quiet",
        "--html",
        "no/page.html",
    ]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.starts_with("error: cannot write `no/page.html`: "),
        "{}",
        run.err
    );
}

#[test]
fn a_result_that_a_full_disk_does_not_take_is_told() {
    let folder = Folder::new(&[("box.json", RECORDED), ("m/proc/cpuinfo", "")]);
    let check = |args: &[&str]| {
        let full = File::options().write(true).open("/dev/full");
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("hw")
            .args(args)
            .current_dir(folder.0.path())
            .stdout(full.expect("Linux has it"))
            .output()
            .expect("the command runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        let expect = "error: cannot write to standard output: ";
        assert!(err.starts_with(expect), "{args:?}: {err}");
    };
    check(&["probe", "--from", "box.json", "--json"]);
    check(&["probe", "--from", "box.json"]);
    check(&["check", "--root", "m", "--json"]);
    check(&["diff", "box.json", "box.json"]);
    check(&["explain", "C09"]);
}
