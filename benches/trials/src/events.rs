//! Events of six kinds for many services: parse, enrich, price, apply by service, deliver.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use pipewright::{Merge, Running, pipeline};
use pipewright_bench::{
    load::{Kind, Level, Mix},
    protocol::{Plant, Request},
    random::Random,
};

use crate::{timeline::PARTS, traces::Traces, watched::Watch};

/// The stages whose work is watched, in their order.
pub(crate) const STAGES: [&str; 5] = ["parse", "enrich", "price", "apply", "deliver"];

/// An event: its payload lies in the environment.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When it should have come.
    pub(crate) intended: Instant,
    /// The part of the time in which that is; none while the pipeline warms up, and where latencies do not count.
    part: Option<u8>,
    kind: Kind,
    service: u32,
    /// Where its payload begins.
    place: u32,
    /// What [`Traces`] calls it, if it is traced.
    pub(crate) trace: Option<NonZeroU32>,
    sum: u64,
}

/// Who looks at the stages.
#[derive(Clone, Debug)]
pub(crate) enum Watching {
    /// At what each of them allocates.
    Allocations(Arc<Watch>),
    /// At how some events come through them.
    Passages(Arc<Traces>),
}

/// What all stages share.
#[derive(Clone)]
pub struct Env {
    payloads: Arc<[u8]>,
    bytes: usize,
    plant: Option<Plant>,
    /// Rounds of work in `enrich` and in `price`.
    rounds: [u64; 2],
    stalled: Arc<AtomicBool>,
    /// Told when it has to stall.
    pub(crate) stall_from: Arc<AtomicBool>,
    /// Events that are done.
    pub(crate) done: Arc<AtomicU64>,
    pub(crate) watch: Option<Watching>,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Rounds of work of an event in `enrich`.
const ENRICH: u64 = 60;
/// Rounds of work of an event in `price`: most of what it costs.
const PRICE: u64 = 1_200;
/// The most memory that payloads take; larger levels use them again.
const MOST: usize = 64 << 20;

impl Env {
    pub(crate) fn new(request: &Request, level: Level) -> Self {
        let mut random = Random(request.seed);
        let length = (level.events() * level.bytes()).min(MOST);
        let payloads = (0..length / 8).flat_map(|_| random.next_u64().to_le_bytes());
        let longer = |rounds: u64, percent: f64| (rounds as f64 * (1.0 + percent / 100.0)) as u64;
        let rounds = match request.plant {
            Some(Plant::Slower(percent)) => [ENRICH, longer(PRICE, percent)],
            Some(Plant::SlowStage) => [PRICE * 3 / 2, PRICE],
            _ => [ENRICH, PRICE],
        };
        Self {
            payloads: payloads.collect(),
            bytes: level.bytes(),
            plant: request.plant,
            rounds,
            stalled: Arc::default(),
            stall_from: Arc::default(),
            done: Arc::default(),
            watch: None,
        }
    }

    /// Does a stage's work, and watches it if somebody wants to know.
    fn stage<R>(&self, stage: usize, trace: Option<NonZeroU32>, work: impl FnOnce() -> R) -> R {
        match &self.watch {
            None => work(),
            Some(Watching::Allocations(watch)) => watch.stage(stage, work),
            Some(Watching::Passages(traces)) => traces.stage(stage, trace, work),
        }
    }

    /// What was planted in `price`.
    fn faults(&self) {
        match self.plant {
            Some(Plant::Stall(ms))
                if self.stall_from.load(Relaxed) && !self.stalled.swap(true, Relaxed) =>
            {
                thread::sleep(Duration::from_millis(ms));
            }
            Some(Plant::Leak(bytes)) => std::mem::forget(black_box(vec![0_u8; bytes])),
            Some(Plant::Allocate) => {
                black_box(Box::new(self.bytes));
            }
            _ => {}
        }
    }
}

/// The latencies of what was delivered, in nanoseconds, for each part of the time.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub(crate) parts: Vec<Histogram<u64>>,
}

impl Default for Delivered {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 2);
        Self {
            parts: vec![latencies.expect("the bounds are in order"); PARTS],
        }
    }
}

impl Delivered {
    fn record(&mut self, part: u8, nanoseconds: u64) {
        if let Some(latencies) = self.parts.get_mut(usize::from(part)) {
            latencies.saturating_record(nanoseconds);
        }
    }

    /// Those of all parts.
    pub(crate) fn latencies(&self) -> Histogram<u64> {
        let mut all = Self::default().parts.swap_remove(0);
        for part in &self.parts {
            all.add(part).expect("they have the same bounds");
        }
        all
    }
}

impl Merge for Delivered {
    fn merge(&mut self, other: Self) {
        for (part, other) in self.parts.iter_mut().zip(other.parts) {
            part.add(other).expect("they have the same bounds");
        }
    }
}

/// What a service has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service {
    events: u64,
    sum: u64,
}

#[pipeline(env = Env)]
pub mod flow {
    use super::*;

    #[stage(from = input, queue = "16Ki")]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn parse(mut event: Event, env: &Env) -> Event {
        env.stage(0, event.trace, || {
            let place = event.place as usize;
            let payload = &env.payloads[place..place + env.bytes];
            let words = payload.chunks_exact(8);
            event.sum = words.fold(0, |sum, word| {
                sum ^ u64::from_le_bytes(word.try_into().expect("eight bytes"))
            });
            event
        })
    }

    #[stage(from = parse)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn enrich(mut event: Event, env: &Env) -> Event {
        env.stage(1, event.trace, || {
            // Audits are looked up twice.
            let times = if event.kind == Kind::Audit { 2 } else { 1 };
            event.sum ^= work(event.sum, times * env.rounds[0]);
            event
        })
    }

    #[stage(from = enrich)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn price(mut event: Event, env: &Env) -> Event {
        env.stage(2, event.trace, || {
            env.faults();
            event.sum ^= work(event.sum, env.rounds[1]);
            event
        })
    }

    #[stage(from = price, key = |event| event.service)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn apply(event: Event, env: &Env, service: &mut Service) -> Event {
        env.stage(3, event.trace, || {
            service.events += 1;
            service.sum = service.sum.wrapping_add(event.sum);
            event
        })
    }

    #[sink(from = apply, order = any, per_worker)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn deliver(event: Event, env: &Env, delivered: &mut Delivered) {
        env.stage(4, event.trace, || {
            if let Some(part) = event.part {
                delivered.record(part, event.intended.elapsed().as_nanos() as u64);
            }
            env.done.fetch_add(1, Relaxed);
        });
    }
}

/// Rounds of dependent work, a nanosecond or so each.
fn work(seed: u64, rounds: u64) -> u64 {
    let mut random = Random(seed);
    (0..rounds).fold(0, |sum, _| black_box(sum ^ random.next_u64()))
}

/// Events of a seed, without end.
pub(crate) struct Feed {
    mix: Mix,
    random: Random,
    services: u32,
    bytes: usize,
    length: usize,
}

impl Feed {
    pub(crate) fn new(seed: u64, level: Level, env: &Env) -> Self {
        Self {
            mix: Mix::new(seed),
            random: Random(!seed),
            services: level.services(),
            bytes: level.bytes(),
            length: env.payloads.len(),
        }
    }

    pub(crate) fn next(&mut self, intended: Instant, part: Option<u8>) -> Event {
        let drawn = self.random.next_u64();
        let events = self.length / self.bytes;
        Event {
            intended,
            part,
            kind: self.mix.next().expect("the mix has no end"),
            service: (drawn >> 32) as u32 % self.services,
            // Payloads take 64 MiB at most.
            place: ((drawn as u32 as usize % events) * self.bytes) as u32,
            trace: None,
            sum: 0,
        }
    }
}

/// Starts the pipeline.
pub(crate) fn start(request: &Request, env: Env) -> Result<Running<flow::Pipeline>, String> {
    let pipeline = flow::pipeline().workers(request.workers.unwrap_or(1));
    pipeline.start(env).map_err(|error| error.to_string())
}

/// Ends it; what was delivered.
pub(crate) fn finish(run: Running<flow::Pipeline>) -> Result<Delivered, String> {
    let mut report = run.drain().map_err(|error| error.to_string())?;
    Ok(report.take_state::<flow::deliver>().unwrap_or_default())
}

/// The metrics of latencies. A quantile is there only where at least a hundred values lie beyond it.
pub(crate) fn quantiles(latencies: &Histogram<u64>) -> Vec<(String, f64)> {
    let quantiles = [
        ("latency_p50", 0.5),
        ("latency_p95", 0.95),
        ("latency_p99", 0.99),
        ("latency_p999", 0.999),
    ];
    let known = |share: f64| latencies.len() as f64 * (1.0 - share) >= 99.5;
    let mut found: Vec<(String, f64)> = quantiles
        .into_iter()
        .filter(|(_, share)| known(*share))
        .map(|(name, share)| (name.to_owned(), latencies.value_at_quantile(share) as f64))
        .collect();
    if !latencies.is_empty() {
        found.push(("latency_max".to_owned(), latencies.max() as f64));
    }
    found
}

/// How many there are of each length.
pub(crate) fn counts(latencies: &Histogram<u64>) -> Vec<(u64, u64)> {
    let recorded = latencies.iter_recorded();
    recorded
        .map(|value| (value.value_iterated_to(), value.count_at_value()))
        .collect()
}
