//! A folder with a trial whose answers are given, and the questions of `bench` to it.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use pipewright_bench::protocol::{Answer, Generator, Listing, PROTOCOL, Scenario};
use serde_json::Value;

/// What stands for valgrind: a start of a million, and for each item what the trial's folder says.
pub(crate) const VALGRIND: &str = "#!/bin/sh\nfor last; do :; done\neach=$(cat \"$(dirname \"$3\")/each\")\necho \"==1== Collected : $((1000000 + each * last))\" >&2\n";

/// A folder with a trial that gives these answers, whatever else is asked.
pub(crate) struct Trials(tempfile::TempDir);

/// What a command prints, and its exit code.
pub(crate) struct Run {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

pub(crate) fn scenario(id: &str) -> Scenario {
    Scenario {
        id: id.to_owned(),
        about: "made up".to_owned(),
        open_loop: id.starts_with("latency/"),
        metrics: vec![],
        interface: Some("made-up".to_owned()),
        counts: id.starts_with("throughput/"),
        allocates: false,
        levels: true,
    }
}

pub(crate) fn throughput(rate: f64) -> Answer {
    measured(&[("throughput", rate)])
}

/// An answer with these metrics.
pub(crate) fn measured(metrics: &[(&str, f64)]) -> Answer {
    let named = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
    Answer {
        metrics: metrics.iter().map(named).collect(),
        ..Answer::default()
    }
}

/// As [`measured`], of an open loop whose generator was never late.
pub(crate) fn in_time(metrics: &[(&str, f64)]) -> Answer {
    Answer {
        generator: Some(Generator::default()),
        ..measured(metrics)
    }
}

impl Trials {
    /// Each scenario with its answer, and what the shell does before it answers.
    pub(crate) fn new(answers: &[(Scenario, Answer)], before: &str) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let listing = Listing {
            protocol: PROTOCOL.to_owned(),
            scenarios: answers
                .iter()
                .map(|(scenario, _)| scenario.clone())
                .collect(),
            build: [("rustc".to_owned(), "1.0".to_owned())].into(),
        };
        folder.write("list.json", &serde_json::to_string(&listing).expect("JSON"));
        let home = folder.0.path().display();
        let mut script = format!(
            "#!/bin/sh\nif [ \"$1\" = list ]; then cat {home}/list.json; exit; fi\necho \"$2\" >> {home}/asked\n{before}\ncase \"$2\" in\n"
        );
        for (at, (scenario, answer)) in answers.iter().enumerate() {
            let answer = Answer {
                protocol: PROTOCOL.to_owned(),
                scenario: scenario.id.clone(),
                ..answer.clone()
            };
            let text = serde_json::to_string(&answer).expect("JSON");
            folder.write(&format!("{at}.json"), &text);
            let id = &scenario.id;
            script.push_str(&format!(
                "*'\"scenario\":\"{id}\"'*) cat {home}/{at}.json;;\n"
            ));
        }
        script.push_str("esac\n");
        folder.program("trial", &script);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.write(name, text);
        let mut permissions = fs::metadata(&path).expect("it is there").permissions();
        permissions.set_mode(0o755);
        fs::set_permissions(&path, permissions).expect("it is ours");
    }

    /// Asks a question of it, and saves the result in `out`.
    pub(crate) fn bench(&self, args: &[&str]) -> Run {
        run(self.command(args).args(["--bin", "trial", "--out", "out"]))
    }

    /// The report of what was saved, in Markdown.
    pub(crate) fn report(&self) -> String {
        let run = run(&mut self.command(&["report", "out/run.json"]));
        assert_eq!(run.code, 0, "{}", run.err);
        fs::read_to_string(self.path("out/report.md")).expect("it was written")
    }

    /// Runs a command where nothing can be printed any more.
    pub(crate) fn unheard(&self, args: &[&str]) -> Run {
        let full = fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        run(self.command(args).stdout(full))
    }

    /// Runs a command that finds no other programs than those of the folder.
    pub(crate) fn alone(&self, args: &[&str]) -> Run {
        let home = self.0.path();
        run(self
            .command(args)
            .env("PATH", home)
            .env("RUSTC", home.join("rustc")))
    }

    /// The command in the folder, whose programs come before all others.
    fn command(&self, args: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command
            .args(args)
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .current_dir(self.0.path());
        command
    }

    /// What was saved.
    pub(crate) fn saved(&self) -> Value {
        self.saved_in("out")
    }

    pub(crate) fn saved_in(&self, folder: &str) -> Value {
        json(&self.path(folder).join("run.json"))
    }

    /// What the trial was asked, one line each.
    pub(crate) fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }
}

fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    Run {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().unwrap_or(-1),
    }
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("there is a result");
    serde_json::from_str(&text).expect("it is whole")
}
