//! A number of items, however long they take: for who counts instructions, and for who compares results.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Probe, Stamp, Subject, Trial,
    closed::{TOGETHER, WINDOWS},
    process, timeline,
};
use crate::protocol::{Answer, Request};

/// Takes items to their end; what came of them, as a digest, if it tells.
pub(super) type Batch = fn(Lot) -> Result<Option<u64>, String>;

/// What is to be taken to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// So many items.
    pub items: u64,
    /// On so many workers.
    pub workers: usize,
    /// Whether the time that it takes is measured. If not, its instructions are counted or its results are compared, and nothing of
    /// what is done should depend on a clock.
    pub timed: bool,
}

impl Lot {
    /// By one worker, as usual.
    pub(super) fn by_one(items: u64) -> Self {
        Self {
            items,
            workers: 1,
            timed: true,
        }
    }
}

/// Items that are sent one after the other.
pub(super) fn sent<S: Subject>(request: &Request, items: u64) -> Trial {
    let probe = Probe::new(S::STAGES, None, true);
    let mut subject = S::start(request, probe.clone())?;
    let now = Instant::now();
    let mut batch = Vec::with_capacity(TOGETHER);
    let mut left = items;
    while left > 0 {
        let some = left.min(TOGETHER as u64);
        batch.extend((0..some).map(|_| subject.item(Stamp::new(now))));
        subject.send(&mut batch)?;
        left -= some;
    }
    subject.finish()?;
    let done = probe.finished();
    match done == items {
        true => Ok(answer(items, Some(probe.digest()))),
        false => Err(format!("{done} of {items} items came out")),
    }
}

/// Items of a pipeline with a source of its own.
pub(super) fn made(request: &Request, items: u64, batch: Batch) -> Trial {
    let digest = batch(Lot {
        items,
        workers: request.workers(),
        timed: false,
    })?;
    Ok(answer(items, digest))
}

fn answer(items: u64, digest: Option<u64>) -> Answer {
    Answer {
        metrics: BTreeMap::from([("items".to_owned(), items as f64)]),
        digest,
        ..Answer::default()
    }
}

/// Runs of a length that the warm-up found, a tenth of the time each.
pub(super) fn repeated(request: &Request, batch: Batch) -> Trial {
    let workers = request.workers();
    let once = |items: u64| -> Result<Duration, String> {
        let begun = Instant::now();
        std::hint::black_box(batch(Lot {
            items,
            workers,
            timed: true,
        })?);
        Ok(begun.elapsed())
    };
    let window = Duration::from_millis(request.measure_ms) / WINDOWS;
    let items = warm_up(Duration::from_millis(request.warmup_ms), window, once)?;
    let cpu = process::cpu_time();
    let begun = Instant::now();
    let (mut windows, mut timeline) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        windows.push(items as f64 / once(items)?.as_secs_f64());
        timeline.push(timeline::closed(begun, items));
    }
    let took = begun.elapsed();
    let cpu = process::cpu_time() - cpu;
    Ok(Answer {
        metrics: process::rates(items * u64::from(WINDOWS), took, cpu),
        windows,
        timeline,
        ..Answer::default()
    })
}

/// The most items of a run: one of those that cost nothing would go on for ever.
const MOST: f64 = 1e12;

/// Runs for at least so long; how many items take about as long as a window.
fn warm_up(
    during: Duration,
    window: Duration,
    once: impl Fn(u64) -> Result<Duration, String>,
) -> Result<u64, String> {
    let begun = Instant::now();
    let mut items = 1_000;
    loop {
        let took = once(items)?;
        let wanted = window.as_secs_f64() / took.as_secs_f64().max(1e-9);
        let near = (0.5..2.0).contains(&wanted);
        items = (items as f64 * wanted.clamp(0.1, 10.0)).clamp(1.0, MOST) as u64;
        if (near || items == 1) && begun.elapsed() >= during {
            return Ok(items);
        }
    }
}
