//! Whole runs: real logs, generated events, services that are slow, and bad input.

mod bad;
mod entrances;
mod loghub;
mod services;

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use pipewright::Blueprint;
use pipewright_tests::{MINUTE, within_a_minute};

use super::{
    baseline::{self, System},
    feed::{Feed, Input, raw},
    generate::{Generator, SHARES},
    lines,
    run::{Outcome, Settings, Started},
    sequential::{self, Results},
    service::{self, Overflow, Service},
    types::Kind,
};

/// Everything by default, without an input.
pub(super) fn settings(inputs: Vec<Input>, services: Vec<Service>) -> Settings {
    Settings {
        feed: Feed {
            inputs,
            follow: false,
            positions: None,
            most: lines::MOST,
        },
        entrances: Vec::new(),
        client: MINUTE,
        services,
        overflow: Overflow::Block,
        queue: 256,
        window: Duration::from_secs(5),
        year: 2024,
        workers: Some(2),
        tuning: None,
    }
}

pub(super) fn made(lines: &[&str]) -> Input {
    let lines = lines
        .iter()
        .map(|line| Bytes::copy_from_slice(line.as_bytes()));
    Input::Lines("made".into(), lines.collect())
}

/// Runs and accounts for everything.
pub(super) fn run(settings: Settings) -> Outcome {
    let ran = within_a_minute("the end of a run", || settings.run());
    let outcome = ran.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(outcome.ending.problems, Vec::<String>::new());
    accounted(&outcome);
    outcome
}

/// Ends what goes on, and accounts for everything.
pub(super) fn end<P: Blueprint>(started: Started<P>) -> Outcome {
    let outcome = started.end(|run| run.drain_within(MINUTE));
    accounted(&outcome);
    outcome
}

pub(super) fn accounted(outcome: &Outcome) {
    assert!(
        outcome.ending.ledger.is_balanced(),
        "{}",
        outcome.ending.ledger
    );
    let summary = &outcome.summary;
    assert!(summary.is_balanced(), "{summary:?}");
    let codes = ["service_full", "service_closed"];
    let by_reason = summary.rejects.by_reason.iter();
    let before = by_reason.filter(|(code, _)| !codes.contains(code));
    let rejected: u64 = before.map(|(_, count)| count).sum();
    assert_eq!(
        summary.lines,
        summary.blank + summary.repeated + summary.events() + rejected,
        "{summary:?}"
    );
}

/// What must not depend on who does the work.
fn essence(outcome: &Outcome) -> Results {
    let summary = &outcome.summary;
    let services = summary.services.iter();
    let services = services.map(|service| (service.counts.delivered, service.counts.digest));
    let mut rejects = summary.rejects.clone();
    // They are told as they come.
    rejects.told.sort();
    Results {
        services: services.collect(),
        counts: summary.counts.clone(),
        lines: summary.lines,
        blank: summary.blank,
        repeated: summary.repeated,
        unrouted: summary.unrouted,
        rejects,
    }
}

/// The folder of real logs; nothing, said loudly, where there is none.
pub(super) fn real_logs() -> Option<PathBuf> {
    let data = std::env::var_os("PIPEWRIGHT_DATA").map(PathBuf::from);
    let data =
        data.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let folder = data.join("loghub");
    if fs::read_dir(&folder).is_ok() {
        return Some(folder);
    }
    // Not by `eprintln!`, which says nothing in a test that passes.
    let told = writeln!(
        io::stderr(),
        "SKIPPED: no real logs in {}; set PIPEWRIGHT_DATA to the folder that holds `loghub/`",
        folder.display()
    );
    told.expect("standard error");
    None
}

fn generated(seed: u64, lines: u64) -> Vec<Input> {
    vec![Input::Generated(Generator::new(seed, lines, 0))]
}

#[test]
fn results_are_those_of_the_stages_called_one_after_the_other() {
    let mut inputs = generated(3, 3_000);
    if let Some(folder) = real_logs() {
        let names = ["Linux", "Apache", "HDFS"];
        inputs.extend(names.map(|name| Input::File(folder.join(format!("{name}_2k.log")))));
    }
    inputs.push(made(&["", "nonsense", "{}"]));
    let mut expect = sequential::run(&settings(inputs.clone(), service::examples(20)));
    expect.rejects.told.sort();
    for workers in [1, 2, 4] {
        let mut settings = settings(inputs.clone(), service::examples(20));
        settings.workers = Some(workers);
        assert_eq!(essence(&run(settings)), expect, "{workers} workers");
    }
}

#[test]
fn generated_events_have_the_mix_and_all_formats() {
    let mut settings = settings(generated(1, 2_000), service::examples(50));
    settings.window = Duration::ZERO;
    let summary = run(settings).summary;
    assert!(
        summary.rejects.by_reason.is_empty(),
        "{:?}",
        summary.rejects
    );
    assert_eq!(summary.events(), 2_000);
    for (kind, share) in SHARES {
        let part = summary.counts.kinds[kind as usize] as f64 / 2_000.0;
        let expect = share as f64 / 20.0;
        // Repetitions come besides.
        assert!((part - expect).abs() < 0.01, "{kind:?}: {part}");
    }
    assert!(
        summary.counts.formats.iter().all(|count| *count > 0),
        "{:?}",
        summary.counts
    );
    assert!(
        summary.counts.severities.iter().all(|count| *count > 0),
        "{:?}",
        summary.counts
    );
    assert_eq!(summary.services[0].counts.delivered, 2_000);
    assert_eq!(summary.unrouted, 0);
}

#[test]
fn repetitions_are_left_out_and_counted() {
    let with = run(settings(generated(1, 2_000), service::examples(1))).summary;
    assert!((20..80).contains(&with.repeated), "{}", with.repeated);
    assert_eq!(with.events() + with.repeated, 2_000);
}

#[test]
fn what_a_service_writes_can_be_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.ndjson");
    let mut writing = service::examples(1);
    writing[0].sink = service::Sink::File(path.clone());
    let first = run(settings(generated(5, 500), writing)).summary;
    let mut again = settings(vec![Input::File(path)], service::examples(1));
    again.window = Duration::ZERO;
    let again = run(again).summary;
    assert!(again.rejects.by_reason.is_empty(), "{:?}", again.rejects);
    assert_eq!(again.counts.kinds, first.counts.kinds);
    assert_eq!(again.counts.severities, first.counts.severities);
}

#[test]
fn what_a_service_writes_can_be_put_in_the_order_of_its_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.ndjson");
    let mut services = service::examples(1);
    services[0].sink = service::Sink::File(path.clone());
    let message = |line: u64| format!("event {line}");
    let lines: Vec<_> = (1..=2_000)
        .map(|line| format!(r#"{{"kind":"mcp","message":"{}"}}"#, message(line)))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut settings = settings(vec![made(&lines)], services);
    settings.workers = Some(4);
    run(settings);
    let written = fs::read_to_string(path).expect("it is there");
    let place = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["data"]["source"], "made");
        let place = event["data"]["line"].as_u64().expect("a number");
        assert_eq!(event["message"], message(place));
        place
    };
    let mut places: Vec<_> = written.lines().map(place).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=2_000).collect::<Vec<_>>());
}

#[test]
fn what_nobody_wants_is_counted() {
    let mut services = service::examples(1);
    services[0].filter.kinds.insert(Kind::Mcp);
    let summary = run(settings(generated(1, 1_000), services)).summary;
    let mcp = summary.counts.kinds[Kind::Mcp as usize];
    assert_eq!(summary.unrouted, summary.events() - mcp);
    assert_eq!(summary.delivered(), mcp);
}

/// What a system makes of generated lines.
fn made_of(system: Box<dyn System>, inputs: &[Input]) -> Results {
    let inputs = inputs.to_vec();
    within_a_minute("the end of a system", || made_by(system, inputs))
}

fn made_by(system: Box<dyn System>, inputs: Vec<Input>) -> Results {
    for input in inputs {
        let Input::Generated(lines) = input else {
            continue;
        };
        let source = "generator".into();
        for (at, line) in lines.enumerate() {
            let sent = system.send(raw(&source, at as u64 + 1, Instant::now(), Ok(line)));
            assert!(sent, "it takes everything");
        }
    }
    system.end().0
}

#[test]
fn what_the_pipeline_replaces_has_the_same_results() {
    for (count, lines) in [(3, 2_000), (100, 500)] {
        let inputs = generated(6, lines);
        let like = || settings(inputs.clone(), service::examples(count));
        let expect = sequential::run(&like());
        let mut fed = like();
        fed.feed.inputs.clear();
        // Without a source of its own that could end, it takes what is sent until it is told to end.
        let system = baseline::pipeline(fed).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(
            made_of(system, &inputs),
            expect,
            "{count} services, the pipeline"
        );
        for threads in [1, 2] {
            let system = baseline::coordinator(&like(), threads).expect("starts");
            let found = made_of(system, &inputs);
            assert_eq!(found, expect, "{count} services, {threads} coordinators");
        }
        let system = baseline::router(&like()).expect("starts");
        assert_eq!(
            made_of(system, &inputs),
            expect,
            "{count} services, the router"
        );
    }
}
