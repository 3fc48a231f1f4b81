//! Events in a closed loop: as fast as they are taken, or one by one.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use pipewright_bench::{
    load::Level,
    protocol::{Answer, Request},
};

use crate::{
    Trial,
    events::{self, Env, Feed},
    process, timeline,
};

/// Parts of the time that are told apart.
const WINDOWS: u32 = 10;

/// Events that are sent together.
const TOGETHER: usize = 128;

/// Pushes events as fast as they are taken.
pub(crate) fn saturated(request: &Request) -> Trial {
    let level = Level::default();
    let env = Env::new(request, level);
    let mut feed = Feed::new(request.seed, level, &env);
    let run = events::start(request, env.clone())?;
    let mut batch = Vec::with_capacity(TOGETHER);
    let mut push_until = |end: Instant| -> Result<(), String> {
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            batch.extend((0..TOGETHER).map(|_| feed.next(now, None)));
            run.send_batch(&mut batch)
                .map_err(|error| error.to_string())?;
        }
    };
    push_until(Instant::now() + Duration::from_millis(request.warmup_ms))?;
    let (begun, cpu, before) = (Instant::now(), process::cpu_time(), env.done.load(Relaxed));
    let window = Duration::from_millis(request.measure_ms) / WINDOWS;
    let mut windows = Vec::new();
    let mut timeline = Vec::new();
    for _ in 0..WINDOWS {
        let (from, done) = (Instant::now(), env.done.load(Relaxed));
        push_until(from + window)?;
        let items = env.done.load(Relaxed) - done;
        windows.push(items as f64 / from.elapsed().as_secs_f64());
        timeline.push(timeline::closed(begun, items));
    }
    let took = begun.elapsed();
    let items = env.done.load(Relaxed) - before;
    let cpu = process::cpu_time() - cpu;
    events::finish(run)?;
    Ok(Answer {
        metrics: process::rates(items, took, cpu),
        windows,
        timeline,
        ..Answer::default()
    })
}

/// Sends each event when the one before it is done.
pub(crate) fn one_by_one(request: &Request) -> Trial {
    let level = Level::default();
    let env = Env::new(request, level);
    let mut feed = Feed::new(request.seed, level, &env);
    let run = events::start(request, env.clone())?;
    let mut sent = 0;
    let mut until = |end: Instant, part: Option<u8>| -> Result<(), String> {
        while Instant::now() < end {
            run.send(feed.next(Instant::now(), part))
                .map_err(|error| error.to_string())?;
            sent += 1;
            while env.done.load(Relaxed) < sent {
                std::hint::spin_loop();
            }
        }
        Ok(())
    };
    until(
        Instant::now() + Duration::from_millis(request.warmup_ms),
        None,
    )?;
    let (begun, cpu, before) = (Instant::now(), process::cpu_time(), env.done.load(Relaxed));
    let half = Duration::from_millis(request.measure_ms) / 2;
    until(begun + half, Some(0))?;
    env.stall_from.store(true, Relaxed);
    until(begun + 2 * half, Some(0))?;
    let took = begun.elapsed();
    let items = env.done.load(Relaxed) - before;
    let cpu = process::cpu_time() - cpu;
    let latencies = events::finish(run)?.latencies();
    let mut metrics = process::rates(items, took, cpu);
    metrics.extend(events::quantiles(&latencies));
    metrics.insert("loss".to_owned(), 0.0);
    Ok(Answer {
        metrics,
        latencies: events::counts(&latencies),
        ..Answer::default()
    })
}
