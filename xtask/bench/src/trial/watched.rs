//! What is allocated: on one worker, with nobody else allocating meanwhile.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Allocations, Probe, Stamp, Subject, Trial,
    counted::{Batch, Lot},
    wait_for,
};
use crate::protocol::{Answer, Request};

/// Items that are sent before the sender waits for them.
const TOGETHER: u64 = 512;

/// How often the live bytes are noted.
const NOTES: u32 = 40;

/// Items of a cycle, if nothing else is asked.
const ITEMS: u64 = 2_000;

/// How often it is started and ended, if nothing else is asked.
const CYCLES: u32 = 12;

/// What each stage allocates and how long it works, and the live bytes over time.
pub(super) fn stages<S: Subject>(request: &Request, allocations: Allocations) -> Trial {
    let request = alone(request);
    let probe = Probe::new(S::STAGES, Some(allocations), false);
    let mut subject = S::start(&request, probe.clone())?;
    let mut sent = 0;
    let mut batch = Vec::with_capacity(TOGETHER as usize);
    let mut rounds_for = |time: Duration| -> Result<u64, String> {
        let begun = Instant::now();
        let mut rounds = 0;
        while rounds == 0 || begun.elapsed() < time {
            batch.extend(
                (0..TOGETHER)
                    .map(|_| subject.item(Stamp::new(Instant::now()).traced(Duration::ZERO))),
            );
            subject.send(&mut batch)?;
            sent += TOGETHER;
            wait_for(&probe, sent)?;
            rounds += 1;
        }
        Ok(rounds)
    };
    // Tables grow to their size first.
    rounds_for(Duration::from_millis(request.warmup_ms))?;
    let before = probe.shares();
    let mut live_bytes = Vec::with_capacity(NOTES as usize);
    let made = allocations().allocations;
    let mut rounds = 0;
    for _ in 0..NOTES {
        rounds += rounds_for(Duration::from_millis(request.measure_ms) / NOTES)?;
        live_bytes.push(allocations().live);
    }
    let made = allocations().allocations - made;
    let mut stages = probe.shares();
    for (now, before) in stages.iter_mut().zip(before) {
        now.items -= before.items;
        now.busy_ns -= before.busy_ns;
        now.allocations -= before.allocations;
        now.bytes -= before.bytes;
        now.kept -= before.kept;
    }
    subject.finish()?;
    Ok(Answer {
        metrics: allocated(made, rounds * TOGETHER),
        stages,
        live_bytes,
        ..Answer::default()
    })
}

/// What runs of many items allocate more than runs of few, and the live bytes after each run.
pub(super) fn batches(request: &Request, batch: Batch, allocations: Allocations) -> Trial {
    const FEW: u64 = 10_000;
    const MORE: u64 = 200_000;
    let run = |items: u64| -> Result<u64, String> {
        let before = allocations().allocations;
        batch(Lot::by_one(items))?;
        Ok(allocations().allocations - before)
    };
    let end = Instant::now() + Duration::from_millis(request.warmup_ms);
    loop {
        run(FEW)?;
        if Instant::now() >= end {
            break;
        }
    }
    let mut live_bytes = Vec::with_capacity(NOTES as usize);
    let (mut few, mut many) = (u64::MAX, u64::MAX);
    for _ in 0..NOTES / 2 {
        few = few.min(run(FEW)?);
        live_bytes.push(allocations().live);
        many = many.min(run(FEW + MORE)?);
        live_bytes.push(allocations().live);
    }
    Ok(Answer {
        metrics: allocated(many.saturating_sub(few), MORE),
        live_bytes,
        ..Answer::default()
    })
}

/// Starts it, sends items, and ends it, again and again: the live bytes after each time.
pub(super) fn drained<S: Subject>(request: &Request, allocations: Allocations) -> Trial {
    let request = alone(request);
    let items = request.items.unwrap_or(ITEMS);
    cycles(&request, allocations, || {
        let probe = Probe::new(S::STAGES, None, false);
        let mut subject = S::start(&request, probe.clone())?;
        let now = Instant::now();
        let mut batch = Vec::new();
        batch.extend((0..items).map(|_| subject.item(Stamp::new(now))));
        subject.send(&mut batch)?;
        subject.finish()?;
        match probe.finished() == items {
            true => Ok(()),
            false => Err(format!("{} of {items} items came out", probe.finished())),
        }
    })
}

/// The same of a pipeline with a source of its own.
pub(super) fn drained_batches(request: &Request, batch: Batch, allocations: Allocations) -> Trial {
    let items = request.items.unwrap_or(ITEMS);
    cycles(request, allocations, || {
        batch(Lot::by_one(items)).map(|_| ())
    })
}

fn cycles(
    request: &Request,
    allocations: Allocations,
    mut cycle: impl FnMut() -> Result<(), String>,
) -> Trial {
    let cycles = request.cycles.unwrap_or(CYCLES);
    let mut live_bytes = Vec::with_capacity(cycles as usize);
    for _ in 0..cycles {
        cycle()?;
        live_bytes.push(allocations().live);
    }
    Ok(Answer {
        live_bytes,
        ..Answer::default()
    })
}

/// On one worker.
fn alone(request: &Request) -> Request {
    Request {
        workers: Some(1),
        ..request.clone()
    }
}

fn allocated(made: u64, items: u64) -> BTreeMap<String, f64> {
    let each = made as f64 / items.max(1) as f64;
    BTreeMap::from([("allocs_per_item".to_owned(), each)])
}
