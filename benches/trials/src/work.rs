//! What is done with an event, whoever does it.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use pipewright_bench::{
    load::{Kind, Mix},
    protocol::{Plant, Request},
    random::Random,
    trial::{Probe, Stage, Stamp, Stamped},
};

/// The stages, in their order.
pub(crate) const STAGES: &[Stage] = &[
    Stage::free("parse"),
    Stage::free("enrich"),
    Stage::free("price"),
    Stage::free("apply"),
    Stage::free("deliver"),
];

/// An event: its payload lies in the environment.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    stamp: Stamp,
    kind: Kind,
    pub(crate) service: u32,
    /// Where its payload begins.
    place: u32,
    sum: u64,
}

impl Stamped for Event {
    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }
}

impl Event {
    pub(crate) fn stamped(&self) -> &Stamp {
        &self.stamp
    }
}

/// What all stages share.
#[derive(Clone, Debug)]
pub struct Env {
    payloads: Arc<[u8]>,
    bytes: usize,
    plant: Option<Plant>,
    /// Rounds of work in `enrich` and in `price`.
    rounds: [u64; 2],
    stalled: Arc<AtomicBool>,
    probe: Probe,
}

/// What a service has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service {
    events: u64,
    sum: u64,
}

/// Rounds of work of an event in `enrich`.
const ENRICH: u64 = 60;
/// Rounds of work of an event in `price`: most of what it costs.
const PRICE: u64 = 1_200;
/// The most memory that payloads take; larger levels use them again.
const MOST: usize = 64 << 20;

impl Env {
    pub(crate) fn new(request: &Request, probe: Probe) -> Self {
        let level = request.level.unwrap_or_default();
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
            probe,
        }
    }

    /// The first stage: the sum of its payload's words.
    pub(crate) fn parse(&self, event: &mut Event) {
        self.probe.stage(0, event, |event| {
            let place = event.place as usize;
            let words = self.payloads[place..place + self.bytes].chunks_exact(8);
            event.sum = words.fold(0, |sum, word| {
                sum ^ u64::from_le_bytes(word.try_into().expect("eight bytes"))
            });
        });
    }

    /// The second: audits are looked up twice.
    pub(crate) fn enrich(&self, event: &mut Event) {
        self.probe.stage(1, event, |event| {
            let times = if event.kind == Kind::Audit { 2 } else { 1 };
            event.sum ^= work(event.sum, times * self.rounds[0]);
        });
    }

    /// The third, which takes most of the time, and where faults are planted.
    pub(crate) fn price(&self, event: &mut Event) {
        self.probe.stage(2, event, |event| {
            self.faults();
            event.sum ^= work(event.sum, self.rounds[1]);
        });
    }

    /// The fourth, on the state of its service.
    pub(crate) fn apply(&self, event: &mut Event, service: &mut Service) {
        self.probe.stage(3, event, |event| {
            service.events += 1;
            service.sum = service.sum.wrapping_add(event.sum);
            self.probe
                .result(u64::from(event.service) << 32 | service.events);
        });
    }

    /// The last.
    pub(crate) fn deliver(&self, event: &mut Event) {
        self.probe.stage(4, event, |event| {
            self.probe.result(event.sum);
            self.probe.done(event.stamped());
        });
    }

    /// What was planted in `price`.
    fn faults(&self) {
        match self.plant {
            Some(Plant::Stall(ms))
                if self.probe.is_in_second_half() && !self.stalled.swap(true, Relaxed) =>
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

/// Rounds of dependent work, a nanosecond or so each.
fn work(seed: u64, rounds: u64) -> u64 {
    let mut random = Random(seed);
    (0..rounds).fold(0, |sum, _| black_box(sum ^ random.next_u64()))
}

/// Events of a seed, without end.
#[derive(Debug)]
pub(crate) struct Feed {
    mix: Mix,
    random: Random,
    services: u32,
    bytes: usize,
    length: usize,
}

impl Feed {
    pub(crate) fn new(request: &Request, env: &Env) -> Self {
        Self {
            mix: Mix::new(request.seed, request.mix.unwrap_or_default()),
            random: Random(!request.seed),
            services: request.level.unwrap_or_default().services(),
            bytes: env.bytes,
            length: env.payloads.len(),
        }
    }

    pub(crate) fn next(&mut self, stamp: Stamp) -> Event {
        let drawn = self.random.next_u64();
        let events = self.length / self.bytes;
        Event {
            stamp,
            kind: self.mix.next().expect("the mix has no end"),
            service: (drawn >> 32) as u32 % self.services,
            // Payloads take 64 MiB at most.
            place: ((drawn as u32 as usize % events) * self.bytes) as u32,
            sum: 0,
        }
    }
}
