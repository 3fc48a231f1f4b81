//! The commands, as they are typed.

#![forbid(unsafe_code)]

mod check;
mod dead_letters;
mod expand;
mod graph;
mod hw;
mod hw_probe;
mod tidy;

use std::{fs, process::Command};

/// A folder that commands run in.
struct Folder(tempfile::TempDir);

/// What a command prints, and its exit code.
struct Run {
    out: String,
    err: String,
    code: i32,
}

impl Folder {
    /// A folder with files: path and text.
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a folder for the test"));
        for (path, text) in files {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    fn write(&self, path: &str, text: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("files are in folders"))
            .expect("a writable folder");
        fs::write(path, text).expect("a writable file");
    }

    fn run(&self, args: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command
            .args(args)
            .current_dir(self.0.path())
            .output()
            .expect("the command runs");
        let text = |bytes| String::from_utf8(bytes).expect("the output is text");
        Run {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().expect("no signal"),
        }
    }
}

/// Runs `args` on files and compares standard output and the exit code.
#[track_caller]
fn expect(files: &[(&str, &str)], args: &[&str], code: i32, out: &str) {
    let run = Folder::new(files).run(args);
    assert_eq!(run.out, out, "standard error: {}", run.err);
    assert_eq!(run.code, code);
}

#[test]
fn a_reader_that_has_enough_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["hw", "explain", "C09"])
        .stdout(writer)
        .output()
        .expect("the command runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn what_cannot_be_written_is_told_and_is_no_panic() {
    let pipeline = "#[pipeline]\npub mod numbers {\n    #[source]\n    pub fn count() -> impl Iterator<Item = u64> {\n        0..9\n    }\n\n    #[sink(from = count)]\n    pub fn print(_n: u64) {}\n}\n";
    let folder = Folder::new(&[("a.rs", pipeline), ("empty/b.rs", "//! Nothing.\n")]);
    let commands: [&[&str]; 14] = [
        &[],
        &["check", "a.rs"],
        &["graph", "a.rs"],
        &["graph", "a.rs", "--mermaid"],
        &["expand", "a.rs"],
        &["tidy", "empty"],
        &["peers", "--list"],
        &["planted", "--check"],
        &["hw", "check"],
        &["hw", "check", "--json"],
        &["hw", "explain", "C09"],
        &["hw", "script"],
        &["hw", "probe", "--seconds", "1", "--only", "A6"],
        &["hw", "probe", "--seconds", "1", "--only", "A6", "--json"],
    ];
    for args in commands {
        let full = fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
            .current_dir(folder.0.path())
            .stdout(full)
            .output()
            .expect("the command runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        let expect = "cannot write to standard output: ";
        assert!(told.contains(expect), "{args:?}: {told}");
    }
}

#[test]
fn without_arguments_the_commands_are_listed() {
    let run = Folder::new(&[]).run(&[]);
    let commands: Vec<&str> = run
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|word| !word.starts_with('-'))
        .collect();
    assert_eq!(
        commands,
        [
            "check",
            "graph",
            "expand",
            "dead-letters",
            "ci",
            "tidy",
            "loom",
            "look",
            "chaos",
            "shuttle",
            "fuzz",
            "planted",
            "sanitize",
            "peers",
            "budgets",
            "hw",
            "bench",
            "ui",
            "help"
        ]
    );
    assert_eq!(run.code, 0);
}

#[test]
fn a_wrong_command_line_is_refused() {
    let folder = Folder::new(&[]);
    let wrong: [&[&str]; 7] = [
        &["chekc"],
        &["check"],
        &["graph"],
        &["graph", "a.ron", "--dot", "--mermaid"],
        &["ci", "--skip", "everything"],
        &["shuttle", "--replay", "schedule000.txt"],
        &["tidy", "a", "b"],
    ];
    for args in wrong {
        let run = folder.run(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
        assert!(run.err.starts_with("error: "), "{args:?}: {}", run.err);
    }
}
