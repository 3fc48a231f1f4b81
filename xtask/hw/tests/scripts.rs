//! The scripts that tune a machine, tried on recorded ones: a command of theirs writes one file.

#![forbid(unsafe_code)]

mod recording;

use std::{collections::BTreeMap, fs, io::Write as _, path::Path, process};

use pipewright_hw::{
    check::{Profile, Selection, Status, check},
    declared::{Declared, Demands},
    script::{Scripts, scripts},
};
use recording::{Recorded, machine, pipeline};

fn declared() -> Declared {
    Declared {
        pipelines: vec![pipeline("orders")],
        demands: Demands::default(),
    }
}

fn made(machine: &Recorded, profile: Profile) -> Scripts {
    let selection = Selection {
        profile,
        ..Selection::default()
    };
    let declared = declared();
    let checkup = check(&machine.host, &declared, None, &selection);
    scripts(&machine.host, &checkup, &declared.hot())
}

/// The files that a script writes, and what.
fn writes(script: &str) -> Vec<(String, String)> {
    let commands = script
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty() && !line.starts_with("set "));
    let write = |line: &str| {
        if let Some((name, value)) = line
            .strip_prefix("sysctl -w ")
            .and_then(|rest| rest.split_once('='))
        {
            return (
                format!("proc/sys/{}", name.replace('.', "/")),
                value.to_owned(),
            );
        }
        let (value, path) = line
            .strip_prefix("echo ")
            .and_then(|rest| rest.split_once(" > /"))
            .expect("one of two commands");
        (path.to_owned(), value.to_owned())
    };
    commands.map(write).collect()
}

/// The text of every file of a machine.
fn texts(folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => self::texts(&path, texts),
            false => {
                let text = fs::read_to_string(&path).expect("a text");
                texts.insert(path.display().to_string(), text.trim_end().to_owned());
            }
        }
    }
}

/// Does what a script would do; as the kernel does, with the choice in brackets.
fn run(script: &str, root: &Path) {
    for (path, value) in writes(script) {
        let path = root.join(path);
        let before = fs::read_to_string(&path).expect("only files that are there are written");
        let after = match before.contains('[') {
            true => before
                .replace(['[', ']'], "")
                .replace(&value, &format!("[{value}]"))
                .replace("defer+[madvise]", "defer+madvise"),
            false => format!("{value}\n"),
        };
        fs::write(path, after).expect("a writable file");
    }
}

#[test]
fn what_was_tuned_is_taken_back_and_better_meanwhile() {
    for (name, profile) in [
        ("laptop", Profile::Realtime),
        ("two_nodes", Profile::Realtime),
        ("neglected", Profile::Bench),
        ("hybrid", Profile::Prod),
    ] {
        let machine = machine(name);
        let root = machine.root();
        let (mut before, mut during, mut after) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        texts(&root, &mut before);
        let made = made(&machine, profile);
        let (there, back) = (writes(&made.tune), writes(&made.untune));
        assert!(there.len() > 2, "{name}: {}", made.tune);
        let paths =
            |all: &[(String, String)]| all.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&there), paths(&back), "{name}");
        run(&made.tune, &root);
        texts(&root, &mut during);
        assert_ne!(before, during, "{name}");
        let again = self::made(&machine, profile);
        let left = writes(&again.tune);
        assert_eq!(left, [], "{name}: all that can be written is written");
        run(&made.untune, &root);
        texts(&root, &mut after);
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn scripts_are_read_by_a_shell_and_run_by_nobody() {
    let machine = machine("laptop");
    let made = made(&machine, Profile::Realtime);
    for script in [&made.tune, &made.untune] {
        let mut shell = process::Command::new("sh")
            .arg("-n")
            .stdin(process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut input = shell.stdin.take().expect("a pipe");
        input.write_all(script.as_bytes()).expect("it reads");
        drop(input);
        assert!(shell.wait().expect("it ends").success(), "{script}");
    }
    let head = "#!/bin/sh\n# Tunes this machine, for the profile realtime. Read it before you run it, as root.\nset -eu\n";
    assert!(made.tune.starts_with(head), "{}", made.tune);
    let governor = "echo performance > /sys/devices/system/cpu/cpufreq/policy7/scaling_governor\n";
    assert!(made.tune.contains(governor), "{}", made.tune);
    let by_hand = "# S01 isolated: isolated: none; cpus 4,5 are pinned and not in it\n#     boot: echo isolated";
    assert!(made.tune.contains(by_hand), "{}", made.tune);
}

#[test]
fn a_machine_in_order_is_left_alone() {
    let machine = machine("tuned");
    let declared = Declared {
        pipelines: vec![pipeline("calm")],
        demands: Demands::default(),
    };
    let selection = Selection {
        profile: Profile::Bench,
        ..Selection::default()
    };
    let checkup = check(&machine.host, &declared, None, &selection);
    assert_eq!(checkup.count(Status::Fail), 0);
    let made = scripts(&machine.host, &checkup, &declared.hot());
    assert_eq!(writes(&made.tune), []);
}

#[test]
fn only_what_is_wanting_is_written() {
    let machine = machine("firecracker");
    let made = made(&machine, Profile::Bench);
    let paths: Vec<String> = writes(&made.tune)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let paranoid = "proc/sys/kernel/perf_event_paranoid".to_owned();
    assert!(
        !paths.contains(&paranoid),
        "only the unit is missing: {}",
        made.tune
    );
    let by_hand = "# L12 perf: no counting unit, paranoid 2\n#     host: let the hypervisor show";
    assert!(made.tune.contains(by_hand), "{}", made.tune);
    let neglected = self::made(&recording::machine("neglected"), Profile::Bench);
    let write = (paranoid, "2".to_owned());
    assert!(
        writes(&neglected.tune).contains(&write),
        "{}",
        neglected.tune
    );
}

#[test]
fn a_script_that_was_made_in_a_container_says_where_it_belongs() {
    let note =
        "made in a container (kubernetes), and what it writes is the host's: run it there.\n";
    let inside = made(&machine("kubernetes"), Profile::Prod);
    assert!(
        inside.tune.contains(note) && inside.untune.contains(note),
        "{}",
        inside.tune
    );
    let outside = made(&machine("laptop"), Profile::Prod);
    assert!(!outside.tune.contains("in a container"), "{}", outside.tune);
}
