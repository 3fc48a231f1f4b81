//! Recorded machines, and what is found on them.
//!
//! Each `machines/NAME.txt` has its expected outcomes in `machines/NAME.expect`: for each check, a letter for each profile
//! (`.` passes, `i`nfo, `w`arns, `F`ails, `s`kipped, `?` unknown) and what was found for the strictest of them. Below
//! stand the checks that come out otherwise when pipelines are declared. `UPDATE_MACHINES=1 cargo test -p pipewright-hw --test
//! machines` writes them; read what changed.

#![forbid(unsafe_code)]

mod recording;

use std::{fmt::Write as _, fs};

use pipewright_hw::{
    check::{Checked, Checkup, Profile, Selection, Status, check},
    declared::{Declaration, Declared, Demands},
    floor::{Floor, Handoff, Percentiles},
    host::Host,
};
use pipewright_spec::units::Rate;
use recording::{declaration, folder, machine, pipeline};

/// What a machine is asked for, and what was measured on it.
type Asked = (Declared, Floor);

fn times(p50: f64, p99: f64, p999: f64, max: f64) -> Option<Percentiles> {
    Some(Percentiles {
        p50,
        p99,
        p999,
        max,
    })
}

/// What hardly any machine gives.
fn much() -> Asked {
    let floor = Floor {
        clock: Some(25.0),
        tsc_skew: Some(240.0),
        wake: times(4e3, 3e4, 9e4, 2e6),
        oversleep: times(5.2e4, 6e4, 1e5, 2e6),
        jitter: times(1e3, 9e3, 6e5, 4e6),
        stolen: Some(0.1),
        handoffs: vec![Handoff {
            cpus: (4, 5),
            ns: 55.0,
        }],
        bandwidth: None,
    };
    let demands = Demands {
        p99: Some(1_000_000),
        rate: Rate::parse("100k/s").ok(),
        service: Some(20_000),
        item: Some(512),
        locked: Some(16 << 20),
        huge_pages: Some(32),
    };
    let pipelines = vec![pipeline("orders"), pipeline("feed")];
    (Declared { pipelines, demands }, floor)
}

/// What a good machine gives.
fn little() -> Asked {
    let floor = Floor {
        tsc_skew: Some(20.0),
        wake: times(2e3, 5e3, 8e3, 2e4),
        jitter: times(5e2, 1e3, 2e3, 5e3),
        handoffs: vec![Handoff {
            cpus: (5, 6),
            ns: 30.0,
        }],
        ..Floor::default()
    };
    let demands = Demands {
        p99: Some(1_000_000),
        rate: Rate::parse("1k/s").ok(),
        service: Some(2_000),
        item: Some(64),
        locked: Some(1 << 20),
        huge_pages: Some(8),
    };
    let pipelines = vec![pipeline("calm")];
    (Declared { pipelines, demands }, floor)
}

fn checkup(host: &Host, profile: Profile, asked: Option<&Asked>) -> Checkup {
    let selection = Selection {
        profile,
        ..Selection::default()
    };
    match asked {
        Some((declared, floor)) => check(host, declared, Some(floor), &selection),
        None => check(host, &Declared::default(), None, &selection),
    }
}

/// A line for each check, and for each line of details.
fn outcomes(host: &Host, asked: Option<&Asked>) -> Vec<String> {
    let all: Vec<Checkup> = Profile::ALL
        .iter()
        .map(|profile| checkup(host, *profile, asked))
        .collect();
    let strictest = |n: usize| -> &Checked {
        let looked = all.iter().rev().map(|one| &one.checked[n]);
        let mut looked =
            looked.filter(|one| one.reason != Some(pipewright_hw::check::Reason::NotSelected));
        looked.next().unwrap_or(&all[0].checked[n])
    };
    let one = |n: usize| {
        let letters: String = all
            .iter()
            .map(|one| letter(one.checked[n].status))
            .collect();
        let checked = strictest(n);
        let reason = checked
            .reason
            .map_or(String::new(), |reason| format!("{}: ", reason.name()));
        let mut text = format!(
            "{} {letters} {}: {reason}{}",
            checked.id, checked.title, checked.current
        );
        checked.details.iter().for_each(|detail| {
            let _ = write!(text, "\n          {detail}");
        });
        if checked.id.starts_with('P')
            && let Some(fix) = &checked.fix
        {
            let _ = write!(text, "\n          help: {fix}");
        }
        text
    };
    (0..all[0].checked.len()).map(one).collect()
}

fn letter(status: Status) -> char {
    match status {
        Status::Pass => '.',
        Status::Info => 'i',
        Status::Warn => 'w',
        Status::Fail => 'F',
        Status::Skip => 's',
        Status::Unknown => '?',
    }
}

fn found(name: &str) -> String {
    let machine = machine(name);
    let plain = outcomes(&machine.host, None);
    let mut text = format!(
        "{}\n\n{}\n",
        checkup(&machine.host, Profile::Dev, None).place,
        plain.join("\n")
    );
    for (names, asked) in [("orders.ron and feed.ron", much()), ("calm.ron", little())] {
        let with = outcomes(&machine.host, Some(&asked));
        let _ = writeln!(text, "\nWith {names}\n");
        for (before, after) in plain
            .iter()
            .zip(with)
            .filter(|(before, after)| *before != after)
        {
            assert_eq!(before[..3], after[..3]);
            text.push_str(&after);
            text.push('\n');
        }
    }
    text
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("a folder of machines");
    let name =
        |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".txt")?.to_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort();
    names
}

#[test]
fn every_recorded_machine_has_its_outcomes() {
    let update = std::env::var_os("UPDATE_MACHINES").is_some();
    let names = names();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let (path, found) = (folder().join(format!("{name}.expect")), found(&name));
        if update {
            fs::write(path, found).expect("a writable file");
            continue;
        }
        let expect = fs::read_to_string(path).expect("outcomes; UPDATE_MACHINES=1 writes them");
        for (expect, found) in expect.lines().zip(found.lines()) {
            assert_eq!(
                found, expect,
                "{name}; UPDATE_MACHINES=1 writes what is found"
            );
        }
        assert_eq!(found, expect, "{name}");
    }
}

#[test]
fn the_table_for_the_terminal_has_the_worst_first_and_folds_what_is_skipped() {
    let machine = machine("kubernetes");
    let found = checkup(&machine.host, Profile::Prod, Some(&much()));
    for (name, is_verbose) in [
        ("kubernetes.screen", false),
        ("kubernetes.verbose.screen", true),
    ] {
        let coloured = pipewright_hw::text::checkup(&found, is_verbose);
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_ne!(coloured, plain, "it is coloured");
        let path = folder().join(name);
        if std::env::var_os("UPDATE_MACHINES").is_some() {
            fs::write(path, plain).expect("a writable file");
            continue;
        }
        let expect = fs::read_to_string(path).expect("a screen; UPDATE_MACHINES=1 writes it");
        assert_eq!(plain, expect, "{name}");
    }
}

#[test]
fn what_cannot_be_read_never_passes() {
    for name in ["no_sysfs", "broken"] {
        let machine = machine(name);
        for profile in Profile::ALL {
            let asked = much();
            for checked in checkup(&machine.host, profile, Some(&asked)).checked {
                let failed = |value: &str| value.starts_with("nonsense") || value == "not there";
                let blind = checked
                    .evidence
                    .iter()
                    .all(|evidence| failed(&evidence.value));
                let looked = !checked.evidence.is_empty();
                let passed = checked.status == Status::Pass;
                assert!(!(passed && looked && blind), "{name}: {checked:?}");
            }
        }
    }
}

#[test]
fn another_system_is_not_judged_by_linux() {
    let machine = machine("macos");
    for profile in Profile::ALL {
        let checkup = checkup(&machine.host, profile, None);
        assert_eq!(checkup.count(Status::Skip), checkup.checked.len());
    }
}

#[test]
fn every_check_passes_and_does_not_pass_on_some_machine() {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for name in names() {
        let machine = machine(&name);
        let asked = [None, Some(much()), Some(little())];
        let each = Profile::ALL[2..]
            .iter()
            .copied()
            .flat_map(|profile| asked.iter().map(move |asked| (profile, asked)));
        for (profile, asked) in each {
            for checked in checkup(&machine.host, profile, asked.as_ref()).checked {
                match checked.status {
                    Status::Pass => good.push(checked.id),
                    Status::Warn | Status::Fail => bad.push(checked.id),
                    Status::Info if checked.fix.is_some() => bad.push(checked.id),
                    Status::Info => good.push(checked.id),
                    Status::Skip | Status::Unknown => {}
                }
            }
        }
    }
    let lacks = |seen: &[String]| -> Vec<&str> {
        let all = pipewright_hw::check::checks()
            .iter()
            .map(|check| check.id.as_str());
        all.filter(|id| !seen.iter().any(|seen| seen == id))
            .collect()
    };
    assert_eq!(lacks(&good), [""; 0], "never good");
    // Those that only record something cannot be bad.
    let recorded: Vec<&str> = pipewright_hw::check::checks()
        .iter()
        .filter(|check| check.pass == "recorded")
        .map(|check| check.id.as_str())
        .collect();
    let never_bad: Vec<&str> = lacks(&bad)
        .into_iter()
        .filter(|id| !recorded.contains(id))
        .collect();
    assert_eq!(never_bad, [""; 0], "never bad");
}

/// The check with this id, of a machine that is asked for these pipelines.
fn one(host: &Host, id: &str, profile: Profile, pipelines: Vec<Declaration>) -> Checked {
    let demands = Demands::default();
    let declared = Declared { pipelines, demands };
    let selection = Selection {
        profile,
        only: vec![id.to_owned()],
        ..Selection::default()
    };
    let found = check(host, &declared, None, &selection).checked;
    let mut found = found.into_iter().filter(|one| one.id == id);
    found.next().expect("a check of this id")
}

#[test]
fn a_pipeline_that_says_no_memory_hides_none_that_another_one_says() {
    let plain = || declaration("plain", "(stages: { \"a\": (), \"b\": (from: \"a\") })");
    let large = || {
        let text = "(memory: \"900Gi\", stages: { \"a\": (), \"b\": (from: \"a\") })";
        declaration("large", text)
    };
    let machine = machine("docker_v1");
    let check = |pipelines, id: &str| one(&machine.host, id, Profile::Dev, pipelines);
    for id in ["M01", "P11", "L09"] {
        assert_eq!(check(vec![large()], id).details, [""; 0], "{id}");
        for pipelines in [vec![large(), plain()], vec![plain(), large()]] {
            let found = check(pipelines, id);
            assert_eq!(found.status, Status::Fail, "{id}: {found:?}");
            assert!(found.current.contains("900.0 GiB"), "{id}: {found:?}");
            let expect = "plain says no `memory`, and comes on top";
            assert_eq!(found.details, [expect], "{id}");
        }
    }
    for id in ["M01", "P11"] {
        let found = check(vec![plain()], id);
        assert_eq!(found.status, Status::Skip, "{id}: {found:?}");
    }
}

#[test]
fn who_works_without_being_seen_is_counted_as_a_neighbour() {
    let check = |name: &str| one(&machine(name).host, "V04", Profile::Bench, Vec::new());
    let pod = check("kubernetes");
    let expect = "others take 49 % of the cpus, at most 2 %";
    assert_eq!((pod.status, pod.current.as_str()), (Status::Fail, expect));
    // What a container shows of itself only says nothing about the machine.
    assert_eq!(check("docker_v1").status, Status::Unknown);
}

#[test]
fn a_stage_that_spins_in_a_guest_never_passes() {
    for name in ["firecracker", "kubernetes", "neglected", "wsl2"] {
        let machine = machine(name);
        for profile in Profile::ALL {
            let found = one(&machine.host, "P20", profile, vec![pipeline("feed")]);
            let bad = matches!(found.status, Status::Info | Status::Warn);
            assert!(bad && found.fix.is_some(), "{name}, {profile}: {found:?}");
        }
    }
}

/// The worst that `explain` tells of a check, for each profile.
fn explained(check: &pipewright_hw::check::Check) -> Vec<String> {
    let coloured = pipewright_hw::text::explain(check);
    let text = anstream::adapter::strip_str(&coloured).to_string();
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let told = line("at worst ").or_else(|| line("else     "));
    let words = told.expect("explain tells the grades").split(", ");
    words
        .take(Profile::ALL.len())
        .map(|word| {
            word.split_once(' ')
                .expect("a profile and a grade")
                .1
                .to_owned()
        })
        .collect()
}

#[test]
fn nothing_is_graded_above_what_explain_tells_and_what_it_tells_at_worst_comes_about() {
    let checks = pipewright_hw::check::checks();
    let told: Vec<Vec<String>> = checks.iter().map(explained).collect();
    let mut failed = vec![false; checks.len()];
    let mut too_much = much();
    too_much.0.demands.p99 = Some(10_000);
    too_much.0.demands.service = Some(1_000_000);
    let asked = [None, Some(much()), Some(little()), Some(too_much)];
    for name in names() {
        let machine = machine(&name);
        for (n, profile) in Profile::ALL.into_iter().enumerate() {
            for asked in &asked {
                let found = checkup(&machine.host, profile, asked.as_ref()).checked;
                for (at, one) in found.iter().enumerate() {
                    let worst = told[at][n].as_str();
                    let fits = match one.status {
                        Status::Fail => worst == "fail",
                        Status::Warn => ["warn", "fail"].contains(&worst),
                        _ => true,
                    };
                    let id = &one.id;
                    assert!(
                        fits,
                        "{name}: {id} is {} for {profile}, and explain tells {worst}",
                        one.status
                    );
                    failed[at] |= one.status == Status::Fail;
                }
            }
        }
    }
    let never: Vec<&str> = (0..checks.len())
        .filter(|at| told[*at].iter().any(|worst| worst == "fail") && !failed[*at])
        .map(|at| checks[at].id.as_str())
        .collect();
    assert_eq!(never, [""; 0], "told to fail, and fails on no machine");
}
