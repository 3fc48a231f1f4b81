//! A folder in which `bench` runs, with trials that are scripts: what they answer is known.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder with trials, and what `bench` does in it.
pub(crate) struct Folder(tempfile::TempDir);

/// What a command prints, and its exit code.
pub(crate) struct Run {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

const LIST: &str = r#"{"protocol":"pipewright.trial/1","scenarios":[{"id":"throughput/fused","about":"numbers","open_loop":false,"metrics":["throughput"]}]}"#;

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// A trial whose throughput is this, with a little noise that its process id makes.
    pub(crate) fn trial(&self, name: &str, throughput: u64) -> PathBuf {
        self.script(name, &format!("rate=$(({throughput} + $$ % 7))"))
    }

    /// A trial that runs a command of the shell, which sets `rate`, and `windows` if it is not steady.
    pub(crate) fn script(&self, name: &str, set: &str) -> PathBuf {
        let answer = r#"{"protocol":"pipewright.trial/1","scenario":"throughput/fused","metrics":{"throughput":'$rate'},"windows":['$windows']}"#;
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = list ]; then echo '{LIST}'; exit; fi\n{set}\necho '{answer}'\n"
        );
        let path = self.write(name, &text);
        let mut permissions = fs::metadata(&path).expect("it is there").permissions();
        permissions.set_mode(0o755);
        fs::set_permissions(&path, permissions).expect("it is ours");
        path
    }

    /// Runs a line of the shell, where `$BENCH` is the program.
    pub(crate) fn shell(&self, line: &str) -> Run {
        run(Command::new("sh")
            .args(["-c", line])
            .env("BENCH", env!("CARGO_BIN_EXE_bench"))
            .current_dir(self.0.path()))
    }

    /// The names of what lies in a folder; none if it is not there.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn bench(&self, args: &[&str]) -> Run {
        run(Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(args)
            .current_dir(self.0.path()))
    }

    /// Compares two trials; the verdict and the result.
    pub(crate) fn ab(&self, a: &Path, b: &Path, more: &[&str]) -> (Run, PathBuf) {
        let [a, b] = [a, b].map(|path| path.to_str().expect("paths are text"));
        let mut args = vec![
            "ab",
            "--base",
            a,
            "--head",
            b,
            "--no-guards",
            "--quiet",
            "--out",
            "out",
        ];
        args.extend(more);
        (self.bench(&args), self.path("out/run.json"))
    }
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    Run {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().unwrap_or(-1),
    }
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    let text = fs::read_to_string(path).expect("there is a result");
    serde_json::from_str(&text).expect("it is whole")
}
