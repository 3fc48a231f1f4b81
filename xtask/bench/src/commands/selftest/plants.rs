//! Faults that are planted one at a time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{Found, Trials};
use crate::{
    commands::{ci, compare},
    error::{Error, code},
    guards::{Guards, Reason},
    load::Load,
    machine::Machine,
    memory,
    process::Watched,
    protocol::{Answer, Plant, Request},
    results::{SCHEMA, Saved},
};

fn request(trials: &Trials, scenario: &str, plant: Option<Plant>) -> Request {
    Request {
        scenario: scenario.to_owned(),
        seed: 1,
        warmup_ms: 50,
        measure_ms: if trials.short { 700 } else { 2_000 },
        workers: None,
        load: None,
        plant,
    }
}

const MS: f64 = 1e6;

fn metric(answer: &Answer, name: &str) -> f64 {
    answer.metrics.get(name).copied().unwrap_or(f64::NAN)
}

/// A stage that stands still for 200 ms.
pub(super) fn stall(trials: &Trials) -> Result<Found, Error> {
    let plant = Some(Plant::Stall(200));
    let open = trials
        .trial
        .run(&request(trials, "latency/events", plant))?;
    let closed = trials
        .trial
        .run(&request(trials, "latency/one-by-one", plant))?;
    let [p99, max] = ["latency_p99", "latency_max"].map(|name| metric(&open, name) / MS);
    let [hidden, seen] = ["latency_p99", "latency_max"].map(|name| metric(&closed, name) / MS);
    Ok(Found {
        found: p99 >= 50.0 && max >= 190.0,
        said: format!(
            "200 ms: the open loop has p99 {p99:.0} ms and max {max:.0} ms, the closed one p99 {} and max {seen:.0} ms",
            // A short trial has too few items for it.
            if hidden.is_nan() {
                "unknown".to_owned()
            } else {
                format!("{hidden:.3} ms")
            }
        ),
    })
}

/// A byte that stays behind with each item, and none.
pub(super) fn leak(trials: &Trials) -> Result<Found, Error> {
    let binary = trials.memory()?;
    let with = binary.run(&request(trials, "memory/events", Some(Plant::Leak(1))))?;
    let without = binary.run(&request(trials, "memory/events", None))?;
    let (with, without) = (memory::leak(&with), memory::leak(&without));
    let each = with.map_or(0.0, |leak| leak.bytes_per_item);
    Ok(Found {
        found: (0.5..2.0).contains(&each) && without.is_none(),
        said: format!(
            "1 byte an item: {each:.2} bytes an item found; without: {}",
            without.map_or_else(
                || "none".to_owned(),
                |leak| format!("{:.2}", leak.bytes_per_item)
            )
        ),
    })
}

/// An allocation in the stage `price`, and none.
pub(super) fn allocation(trials: &Trials) -> Result<Found, Error> {
    let binary = trials.memory()?;
    let with = binary.run(&request(trials, "memory/events", Some(Plant::Allocate)))?;
    let without = binary.run(&request(trials, "memory/events", None))?;
    let named = memory::allocating(&with.stages);
    let none = memory::allocating(&without.stages);
    Ok(Found {
        found: matches!(named.as_slice(), [("price", _)]) && none.is_empty(),
        said: format!("in `price`: found {named:?}; without: {none:?}"),
    })
}

/// The stage `enrich`, which takes longer than all others.
pub(super) fn slow_stage(trials: &Trials) -> Result<Found, Error> {
    let binary = trials.memory()?;
    let slow = binary.run(&request(trials, "memory/events", Some(Plant::SlowStage)))?;
    let usual = binary.run(&request(trials, "memory/events", None))?;
    let (slow, usual) = (
        memory::bottleneck(&slow.stages),
        memory::bottleneck(&usual.stages),
    );
    let name = |found: &Option<memory::Bottleneck>| {
        found
            .as_ref()
            .map_or("", |found| found.stage.as_str())
            .to_owned()
    };
    Ok(Found {
        found: name(&slow) == "enrich" && name(&usual) == "price",
        said: format!(
            "in `enrich`: found `{}`; without: `{}`",
            name(&slow),
            name(&usual)
        ),
    })
}

/// Reasons of a trial that is watched by all guards.
fn reasons(trials: &Trials, request: &Request) -> Result<Vec<Reason>, Error> {
    let watched = Watched::new(Some(Guards::default()));
    Ok(watched.trial(&trials.trial, request)?.reasons)
}

/// More items than a generator can offer.
pub(super) fn overload(trials: &Trials) -> Result<Found, Error> {
    let request = Request {
        load: Some(Load::steady(20e6, 300)),
        ..request(trials, "latency/events", None)
    };
    let found = reasons(trials, &request)?;
    Ok(Found {
        found: found.contains(&Reason::GeneratorLate),
        said: format!("20 M items a second: {}", named(&found)),
    })
}

/// A thread for every processor that does nothing but work.
pub(super) fn foreign_load(trials: &Trials) -> Result<Found, Error> {
    let request = request(trials, "throughput/events", None);
    let over = AtomicBool::new(false);
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let found = thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let found = reasons(trials, &request);
        over.store(true, Ordering::Relaxed);
        found
    })?;
    Ok(Found {
        found: found.contains(&Reason::ForeignCpu),
        said: format!("{cpus} threads of others: {}", named(&found)),
    })
}

fn named(reasons: &[Reason]) -> String {
    match reasons {
        [] => "not noticed".to_owned(),
        _ => reasons
            .iter()
            .map(|reason| reason.name())
            .collect::<Vec<&str>>()
            .join(", "),
    }
}

/// A result of another machine.
pub(super) fn other_machine() -> Result<Found, Error> {
    let here = Saved {
        schema: SCHEMA.to_owned(),
        run_id: "selftest".to_owned(),
        started: String::new(),
        mode: "quick".to_owned(),
        command: vec!["selftest".to_owned()],
        partial: false,
        code: [].into(),
        env: Machine::read(std::path::Path::new("/")),
        limits: vec![],
        scenarios: vec![],
        verdict: String::new(),
    };
    let mut there = here.clone();
    there
        .env
        .fields
        .insert("cpu_model".to_owned(), "another one".to_owned());
    let folder = tempfile::tempdir().map_err(|error| Error::Tool(error.to_string()))?;
    let [a, b] = ["a.json", "b.json"].map(|name| folder.path().join(name));
    here.save(&a)?;
    there.save(&b)?;
    let found = compare::run(&a, &b, false)? == code::REFUSED;
    Ok(Found {
        found,
        said: "another model of processor: refused, and the field is named".to_owned(),
    })
}

/// The gates of `bench ci`.
pub(super) fn gates() -> Result<Found, Error> {
    let found = ci::run(false)? == code::PASS;
    Ok(Found {
        found,
        said: "`bench ci` on unchanged code".to_owned()
            + if found { ": passed" } else { ": FAILED" },
    })
}
