//! What each stage allocates, and how long it works: on one worker, with nobody else allocating meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pipewright_bench::{
    load::Level,
    protocol::{Answer, Request, StageShare},
};

use crate::{
    Allocations, Trial,
    events::{self, Env, Feed, STAGES, Watching},
};

/// What is seen of the stages.
#[derive(Debug)]
pub(crate) struct Watch {
    allocations: Allocations,
    seen: [Seen; STAGES.len()],
}

/// What is seen of one.
#[derive(Debug, Default)]
struct Seen {
    items: AtomicU64,
    busy_ns: AtomicU64,
    allocations: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicI64,
}

impl Watch {
    pub(crate) fn stage<R>(&self, stage: usize, work: impl FnOnce() -> R) -> R {
        let (before, begun) = ((self.allocations)(), Instant::now());
        let result = work();
        let (busy, after) = (begun.elapsed(), (self.allocations)());
        let seen = &self.seen[stage];
        seen.items.fetch_add(1, Relaxed);
        seen.busy_ns.fetch_add(busy.as_nanos() as u64, Relaxed);
        seen.allocations
            .fetch_add(after.allocations - before.allocations, Relaxed);
        seen.bytes.fetch_add(after.bytes - before.bytes, Relaxed);
        seen.kept.fetch_add(after.live - before.live, Relaxed);
        result
    }

    fn shares(&self) -> Vec<StageShare> {
        let stages = STAGES.iter().zip(&self.seen);
        let share = |(name, seen): (&&str, &Seen)| StageShare {
            name: (*name).to_owned(),
            items: seen.items.load(Relaxed),
            busy_ns: seen.busy_ns.load(Relaxed),
            allocations: seen.allocations.load(Relaxed),
            bytes: seen.bytes.load(Relaxed),
            kept: seen.kept.load(Relaxed),
        };
        stages.map(share).collect()
    }
}

/// Items that are sent before the sender waits for them.
const TOGETHER: u64 = 512;

/// How often the live bytes are noted.
const NOTES: u32 = 40;

pub(crate) fn run(request: &Request, allocations: Allocations) -> Trial {
    let level = Level::default();
    let watch = |env: &mut Env| {
        let watch = Arc::new(Watch {
            allocations,
            seen: Default::default(),
        });
        env.watch = Some(Watching::Allocations(Arc::clone(&watch)));
        watch
    };
    let request = Request {
        workers: Some(1),
        ..request.clone()
    };
    let mut env = Env::new(&request, level);
    let seen = watch(&mut env);
    let done = Arc::clone(&env.done);
    let mut feed = Feed::new(request.seed, level, &env);
    let run = events::start(&request, env)?;
    let mut sent = 0;
    let mut round = || -> Result<(), String> {
        for _ in 0..TOGETHER {
            let event = feed.next(Instant::now(), None);
            run.send(event).map_err(|error| error.to_string())?;
        }
        sent += TOGETHER;
        while done.load(Relaxed) < sent {
            std::hint::spin_loop();
        }
        Ok(())
    };
    let mut rounds_for = |time: Duration| -> Result<u64, String> {
        let begun = Instant::now();
        let mut rounds = 0;
        while rounds == 0 || begun.elapsed() < time {
            round()?;
            rounds += 1;
        }
        Ok(rounds)
    };
    // Tables grow to their size first.
    rounds_for(Duration::from_millis(request.warmup_ms))?;
    let before = seen.shares();
    let mut live_bytes = Vec::with_capacity(NOTES as usize);
    let made = allocations().allocations;
    let mut rounds = 0;
    for _ in 0..NOTES {
        rounds += rounds_for(Duration::from_millis(request.measure_ms) / NOTES)?;
        live_bytes.push(allocations().live);
    }
    let made = allocations().allocations - made;
    let mut stages = seen.shares();
    for (now, before) in stages.iter_mut().zip(before) {
        now.items -= before.items;
        now.busy_ns -= before.busy_ns;
        now.allocations -= before.allocations;
        now.bytes -= before.bytes;
        now.kept -= before.kept;
    }
    events::finish(run)?;
    let items = rounds * TOGETHER;
    let metrics = BTreeMap::from([("allocs_per_item".to_owned(), made as f64 / items as f64)]);
    Ok(Answer {
        metrics,
        stages,
        live_bytes,
        ..Answer::default()
    })
}
