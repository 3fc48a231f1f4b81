//! `pipewright txpool` as a user runs it: its exit codes, its JSON, its messages.

mod process;

use std::process::Output;

use pipewright_tests::eventually;
use serde_json::json;

use process::{Process, json, run, text};

fn txpool(args: &[&str], input: &[u8]) -> Output {
    run(&[&["txpool"], args].concat(), input)
}

#[test]
fn generated_blocks_run_without_any_option_but_their_number() {
    let output = txpool(&["--transactions", "400"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("400 transactions of 2 blocks in "));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn the_json_object_has_these_keys() {
    let output = txpool(&["--transactions", "400", "--repeat", "2", "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let object = json(&output);
    let keys: Vec<_> = object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expect = [
        "allocator",
        "blocks",
        "by_kind",
        "elapsed_s",
        "hash_matched",
        "health",
        "ledger",
        "rejected",
        "roots_matched",
        "sender_matched",
        "transactions",
        "transactions_per_s",
    ];
    assert_eq!(keys, expect);
    assert_eq!(
        (&object["blocks"], &object["transactions"]),
        (&json!(4), &json!(800))
    );
    assert_eq!(object["health"], "healthy");
    let kinds: Vec<_> = object["by_kind"]
        .as_object()
        .expect("kinds")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(kinds, ["blob", "call", "creation", "swap", "transfer"]);
    let ledger = &object["ledger"];
    assert_eq!(
        (&ledger["balanced"], &ledger["received"]),
        (&json!(true), &json!(4))
    );
    assert_eq!(
        (&ledger["panicked"], &ledger["in_flight"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn bad_input_fails_the_run_and_is_named() {
    let check = |input: &str, message: &str| {
        let output = txpool(&["--input", "-", "--json"], input.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{input}");
        assert!(
            text(&output.stderr).contains(message),
            "{}",
            text(&output.stderr)
        );
        assert!(
            json(&output)["rejected"]
                .as_object()
                .is_some_and(|rejected| !rejected.is_empty())
        );
    };
    check("", "error: standard input: is empty");
    check("nothing", "error: standard input: is not JSON");
    check(
        r#"{"number":"0x2a","transactions":["0x00"]}"#,
        "error: standard input, block 42, transaction 0: is only a hash",
    );
    check(
        r#"{"transactions":[{"hash":1e999}]}"#,
        "transaction 0: `hash` must be hex",
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = txpool(&["--input", "no/such/file.json"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("error: no/such/file.json: cannot be read"));
}

#[test]
fn a_mistake_on_the_command_line_is_told_apart() {
    let check = |args: &[&str]| assert_eq!(txpool(args, b"").status.code(), Some(2), "{args:?}");
    check(&["--repeat", "0"]);
    check(&["--workers", "0"]);
    check(&["--workers", "65"]);
    check(&["--order", "some"]);
    check(&["--input"]);
    check(&["--input", "-", "--seed", "1"]);
    check(&["--transactions", "99999999999"]);
    check(&["--nonsense"]);
}

#[test]
fn results_do_not_depend_on_workers_or_order() {
    let run = |order: &str, workers: &str| {
        let options = ["--order", order, "--workers", workers];
        let output = txpool(
            &[&["--transactions", "600", "--json"], &options[..]].concat(),
            b"",
        );
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut object = json(&output);
        for varies in ["elapsed_s", "transactions_per_s"] {
            assert!(object[varies].take().is_number());
        }
        assert!(object["allocator"].take().is_object());
        object
    };
    let expect = run("keep", "1");
    for (order, workers) in [("keep", "2"), ("any", "1"), ("any", "3")] {
        assert_eq!(
            run(order, workers),
            expect,
            "{order} with {workers} workers"
        );
    }
}

#[test]
fn a_tuning_file_is_used_or_refused_with_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, tuning: &str, code: i32, message: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, tuning).expect("writes");
        let path = path.to_str().expect("UTF-8");
        let output = txpool(&["--transactions", "200", "--tuning", path], b"");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    check("good.ron", r#"(stages: {"blocks": (batch: 8)})"#, 0, "");
    check(
        "stage.ron",
        r#"(stages: {"block": (batch: 8)})"#,
        2,
        "stage.ron:1:12",
    );
    check(
        "number.ron",
        r#"(stages: {"blocks": (batch: 0)})"#,
        2,
        "`batch` must be at least 1",
    );
    check("broken.ron", "(stages:", 2, "broken.ron:1:");
    let output = txpool(&["--tuning", "no/such/file.ron"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no/such/file.ron"));
}

/// Does the process handle this signal by now?
#[cfg(target_os = "linux")]
fn handles(process: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.expect("a mask").trim(), 16).expect("hexadecimal");
    caught >> (signal - 1) & 1 == 1
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_is_asked_to_end_finishes_what_it_has_read() {
    let args = [
        "txpool",
        "--transactions",
        "400",
        "--repeat",
        "4000000000",
        "--json",
    ];
    let process = Process::start(&args);
    eventually(|| handles(process.id(), 15));
    let output = process.end();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let ledger = &json(&output)["ledger"];
    assert_eq!(
        (&ledger["dropped"], &ledger["in_flight"]),
        (&json!(0), &json!(0)),
        "{ledger}"
    );
}
