//! `cargo xtask tidy`.

use super::{Folder, expect};

/// Looks at one file.
#[track_caller]
fn check(path: &str, text: &str, code: i32, out: &str) {
    let problems = if out.is_empty() {
        "no problems"
    } else {
        "1 problem"
    };
    expect(
        &[(path, text)],
        &["tidy", "."],
        code,
        &format!("{out}1 file, {problems}\n"),
    );
}

/// Looks at a Rust file that starts as it should; one problem is found, in its second line.
#[track_caller]
fn finds(text: &str, message: &str) {
    check(
        "src/a.rs",
        &format!("//! A file.\n{text}\n"),
        1,
        &format!("src/a.rs:2: {message}\n"),
    );
}

/// Looks at a Rust file that starts as it should; no problem is found.
#[track_caller]
fn accepts(text: &str) {
    check("src/a.rs", &format!("//! A file.\n{text}\n"), 0, "");
}

#[test]
fn a_file_says_what_it_is() {
    check(
        "src/a.rs",
        "fn main() {}\n",
        1,
        "src/a.rs:1: a file starts by saying what it is: `//! ..`\n",
    );
    check("tests/ui/a.rs", "fn main() {}\n", 0, "");
    expect(
        &[("target/a.rs", "fn main() {}\n")],
        &["tidy", "."],
        0,
        "no files, no problems\n",
    );
}

#[test]
fn a_file_has_at_most_600_lines() {
    let lines = |count: usize| format!("//! A file.\n{}", "\n".repeat(count - 1));
    check("src/a.rs", &lines(450), 0, "");
    let run = Folder::new(&[("src/a.rs", &lines(451))]).run(&["tidy", "."]);
    let out = "src/a.rs:451: warning: 451 lines; aim at 450\n1 file, no problems\n";
    assert_eq!((run.out.as_str(), run.code), (out, 0));
    check(
        "src/a.rs",
        &lines(601),
        1,
        "src/a.rs:601: 601 lines; a file has at most 600\n",
    );
    check("src/snapshots/a.rs", &lines(601), 0, "");
}

#[test]
fn a_function_has_at_most_80_lines() {
    let lines = |count: usize| format!("fn long(x: fn(u8) -> u8) {{{}}}", "\n".repeat(count - 1));
    accepts(&lines(80));
    finds(&lines(81), "`long` has 81 lines; a function has at most 80");
    finds(
        &format!("trait A {{ {} }}", lines(81)),
        "`long` has 81 lines; a function has at most 80",
    );
    accepts(&format!("#[test] {}", lines(81)));
    accepts(&format!(
        "trait A {{ fn short(&self); }}\nconst A: &str = \"{}\";",
        "\n".repeat(90)
    ));
}

#[test]
fn unfinished_work_is_found() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    for word in words {
        finds(
            &format!("// {word}: later"),
            &format!("`{word}`: finish it, or leave it out"),
        );
        accepts(&format!("const {word}S: u8 = 1;"));
        check("a.md", &format!("No {word} here.\n"), 0, "");
    }
    for name in ["todo", "unimplemented", "dbg"] {
        finds(
            &format!("fn a() {{ std::{name}!(1) }}"),
            &format!("`{name}!`: finish it, or leave it out"),
        );
        accepts(&format!("fn a() {{ b(\"{name}!()\") }} // {name}!()"));
    }
}

#[test]
fn unsafe_code_has_its_places_and_its_reasons() {
    let elsewhere = "`unsafe` is for the modules that the rules of `cargo xtask tidy` name";
    finds("unsafe impl Send for A {} // SAFETY: a reason", elsewhere);
    let check = |text: &str, line: Option<usize>| {
        let text = format!("//! A ring.\n{text}\n");
        let out = line.map(|line| {
            format!("runtime/src/ring.rs:{line}: `unsafe` without a `SAFETY:` comment above it\n")
        });
        super::tidy::check(
            "runtime/src/ring.rs",
            &text,
            i32::from(out.is_some()),
            &out.unwrap_or_default(),
        );
    };
    check(
        "// SAFETY: the box is ours\nfn a() -> Box<u8> { unsafe { b() } }",
        None,
    );
    check(
        "fn a() {\n    // SAFETY: the box\n    // is ours\n    let x =\n        unsafe { b() };\n}",
        None,
    );
    check(
        "// SAFETY: one\nunsafe impl Send for A {}\nunsafe impl Sync for A {}",
        Some(4),
    );
    check(
        "fn a() {\n    // SAFETY: one\n    b();\n    unsafe { c() };\n}",
        Some(5),
    );
    check("// it is safe\nunsafe impl Send for A {}", Some(3));
    check("struct A { free: unsafe fn(u8) }", None);
}

#[test]
fn packages_forbid_unsafe_code() {
    let manifest = |name: &str| format!("[workspace]\n\n[package]\nname = \"{name}\"\n");
    let (unsafely, safely) = (manifest("pipewright"), manifest("pipewright-macros"));
    let message = "every package but `pipewright` says `#![forbid(unsafe_code)]`";
    expect(
        &[
            ("runtime/Cargo.toml", &unsafely),
            ("runtime/src/lib.rs", "//! May.\n"),
            ("macros/Cargo.toml", &safely),
            ("macros/src/lib.rs", "//! Must.\n"),
            ("macros/src/other.rs", "//! A module.\n"),
            (
                "macros/src/bin/good.rs",
                "//! Does.\n\n#![forbid(unsafe_code)]\n",
            ),
            (
                "macros/src/bin/bad/main.rs",
                "//! Does not: `#![forbid(unsafe_code)]`\n",
            ),
        ],
        &["tidy", "."],
        1,
        &format!(
            "macros/src/bin/bad/main.rs:1: {message}\nmacros/src/lib.rs:1: {message}\n7 files, 2 problems\n"
        ),
    );
}

#[test]
fn folders_of_a_machine_are_found() {
    for folder in [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
    ] {
        let message = format!("`{folder}` is a folder of somebody's machine");
        finds(&format!("const A: &str = \"{folder}a\";"), &message);
        accepts(&format!("const A: &str = \"a{folder}b\";"));
        check(
            ".ci/run",
            &format!("cd {folder}a\n"),
            1,
            &format!(".ci/run:1: {message}\n"),
        );
    }
}

#[test]
fn ignored_tests_have_a_reason() {
    let message = "`#[ignore]` without a reason; write `#[ignore = \"..\"]`";
    finds("#[ignore] #[test] fn a() {}", message);
    finds("#[cfg_attr(miri, ignore)] #[test] fn a() {}", message);
    accepts("#[ignore = \"needs a network\"] #[test] fn a() {}");
    accepts("#[cfg_attr(miri, ignore = \"slow\")] #[test] fn a() {}");
}

#[test]
fn ron_files_that_say_so_are_something_else() {
    check("src/a.ron", "#![type = \"other::Table\"]\n[1]\n", 0, "");
}

#[test]
fn ron_files_pass_check() {
    let wrong = "( stages: { \"a\": (from: \"b\") } )\n";
    let run = Folder::new(&[
        ("src/a.ron", wrong),
        ("src/tests/b.ron", wrong),
        ("tests/c.ron", wrong),
    ])
    .run(&["tidy", "."]);
    assert_eq!(run.out.matches("error[").count(), 1, "{}", run.out);
    assert!(
        run.out
            .starts_with("error[E_UNKNOWN_STAGE]: no stage is called `b`\n --> src/a.ron:1:26\n"),
        "{}",
        run.out
    );
    assert!(run.out.ends_with("\n\n3 files, 1 problem\n"), "{}", run.out);
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    let run = Folder::new(&[]).run(&["tidy", "gone"]);
    assert_eq!((run.out.as_str(), run.code), ("", 1));
    assert!(
        run.err.starts_with("error: cannot read `gone`: "),
        "{}",
        run.err
    );
}
