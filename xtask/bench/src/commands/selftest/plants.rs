//! Faults that are planted one at a time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde::{Deserialize, Serialize};

use super::Trials;
use crate::{
    commands::{ci, compare},
    error::Error,
    guards::Reason,
    load::Load,
    machine::Machine,
    memory,
    protocol::{Answer, Plant, Request},
    results::{SCHEMA, Saved},
    session::{Plan, Rules, Side, run},
};

/// Was what was planted found?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) found: bool,
    pub(super) said: String,
}

fn request(trials: &Trials, scenario: &str, plant: Option<Plant>) -> Request {
    let measure_ms = if trials.short { 700 } else { 2_000 };
    Request {
        plant,
        ..Request::new(scenario, 1, [50, measure_ms])
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
        // The closed loop waits with its items, so it has one slow one and a p99 as if nothing had been.
        found: p99 >= 50.0 && max >= 190.0 && seen >= 190.0 && (hidden.is_nan() || hidden < 1.0),
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
    let told = |leak: &Option<memory::Leak>| match leak {
        None => "none".to_owned(),
        Some(memory::Leak {
            bytes_per_item,
            stage,
            ..
        }) => format!(
            "{bytes_per_item:.2} bytes an item in `{}`",
            stage.as_deref().unwrap_or("?")
        ),
    };
    let is_it = |leak: &memory::Leak| {
        (0.5..2.0).contains(&leak.bytes_per_item) && leak.stage.as_deref() == Some("price")
    };
    Ok(Found {
        found: with.as_ref().is_some_and(is_it) && without.is_none(),
        said: format!(
            "1 byte an item in `price`: found {}; without: {}",
            told(&with),
            told(&without)
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
    Ok(trials.guarded.trial(&trials.trial, request)?.reasons)
}

/// More items than a generator can offer, and as many as it can.
pub(super) fn overload(trials: &Trials) -> Result<Found, Error> {
    let at = |rate: f64| Request {
        load: Some(Load::steady(rate, 300)),
        ..request(trials, "latency/events", None)
    };
    let (found, usual) = (reasons(trials, &at(20e6))?, reasons(trials, &at(5e3))?);
    Ok(Found {
        found: found.contains(&Reason::GeneratorLate),
        said: format!(
            "20 M items a second: {}; 5 k: {}",
            named(&found),
            named(&usual)
        ),
    })
}

/// A thread for every processor that does nothing but work, while two are compared; and the same without.
pub(super) fn foreign_load(trials: &Trials) -> Result<Found, Error> {
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
        let found = compared(trials);
        over.store(true, Ordering::Relaxed);
        found
    })?;
    let usual = compared(trials)?;
    let is_foreign = |why: &Option<String>| {
        why.as_ref()
            .is_some_and(|why| why.contains(Reason::ForeignCpu.name()))
    };
    let told = |why: Option<String>| {
        why.map_or_else(|| "judged".to_owned(), |why| format!("refused: {why}"))
    };
    Ok(Found {
        found: is_foreign(&found) && !is_foreign(&usual),
        said: format!(
            "{cpus} threads of others: {}; without: {}",
            told(found),
            told(usual)
        ),
    })
}

/// Why a comparison of one block was refused, if it was.
fn compared(trials: &Trials) -> Result<Option<String>, Error> {
    let plan = Plan {
        fewest: 1,
        most: 1,
        budget: std::time::Duration::MAX,
        seed: 1,
        repeats: 2,
    };
    let request = Request {
        measure_ms: 500,
        ..request(trials, "throughput/events", None)
    };
    let trial = |_: Side, seed| {
        let request = Request {
            seed,
            ..request.clone()
        };
        trials.guarded.trial(&trials.trial, &request)
    };
    Ok(run(plan, &Rules::default(), trial, |_| Ok(()))?.refused)
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
    let different = compare::different(&Saved::load(&a)?, &Saved::load(&b)?);
    Ok(Found {
        found: matches!(different.as_slice(), [one] if one.starts_with("cpu_model: ")),
        said: format!(
            "another model of processor: refused, {}",
            different.join("; ")
        ),
    })
}

/// The gates of `bench ci`, on unchanged code.
pub(super) fn gates() -> Result<Found, Error> {
    // The selftest tells itself how far it is.
    let gates = ci::gates(true)?;
    Ok(Found {
        found: gates.failed == 0 && gates.skipped == 0,
        said: match (gates.failed, gates.skipped) {
            (0, 0) => format!("{} gates passed", gates.passed),
            _ => format!("`bench ci` on unchanged code: {}", gates.others.join("; ")),
        },
    })
}
