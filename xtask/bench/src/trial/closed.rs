//! Items in a closed loop: as fast as they are taken, or one by one.

use std::time::{Duration, Instant};

use super::{Probe, Stamp, Subject, Trial, latencies, probe::ONE_IN, process, timeline, wait_for};
use crate::protocol::{Answer, Request};

/// Parts of the time that are told apart.
pub(super) const WINDOWS: u32 = 10;

/// Items that are sent together.
pub(super) const TOGETHER: usize = 128;

/// Pushes items as fast as they are taken.
pub(super) fn saturated<S: Subject>(request: &Request) -> Trial {
    let probe = Probe::new(S::STAGES, None, false);
    let mut subject = S::start(request, probe.clone())?;
    let mut batch = Vec::with_capacity(TOGETHER);
    let mut n = 0;
    let mut push_until = |subject: &mut S, end: Instant, traces: bool| -> Result<(), String> {
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            for _ in 0..TOGETHER {
                n += 1;
                let stamp = Stamp::new(now);
                let traced = traces && n % ONE_IN == 0;
                batch.push(subject.item(match traced {
                    true => stamp.traced(Duration::ZERO),
                    false => stamp,
                }));
            }
            subject.send(&mut batch)?;
        }
    };
    let warm = Duration::from_millis(request.warmup_ms);
    push_until(&mut subject, Instant::now() + warm, false)?;
    let (begun, cpu, before) = (Instant::now(), process::cpu_time(), probe.finished());
    let window = Duration::from_millis(request.measure_ms) / WINDOWS;
    let (mut windows, mut timeline) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let (from, done) = (Instant::now(), probe.finished());
        push_until(&mut subject, from + window, true)?;
        let items = probe.finished() - done;
        windows.push(items as f64 / from.elapsed().as_secs_f64());
        timeline.push(timeline::closed(begun, items));
    }
    let took = begun.elapsed();
    let items = probe.finished() - before;
    let cpu = process::cpu_time() - cpu;
    subject.finish()?;
    Ok(Answer {
        passages: probe.passages(items as f64 / took.as_secs_f64(), request.workers()),
        metrics: process::rates(items, took, cpu),
        windows,
        timeline,
        ..Answer::default()
    })
}

/// Sends each item when the one before it is done.
pub(super) fn one_by_one<S: Subject>(request: &Request) -> Trial {
    let probe = Probe::new(S::STAGES, None, false);
    let mut subject = S::start(request, probe.clone())?;
    let mut sent = 0;
    let mut one = Vec::with_capacity(1);
    let mut until = |subject: &mut S, end: Instant, counts: bool| -> Result<(), String> {
        while Instant::now() < end {
            let stamp = Stamp::new(Instant::now());
            one.push(subject.item(if counts { stamp.counts(0) } else { stamp }));
            subject.send(&mut one)?;
            sent += 1;
            wait_for(&probe, sent)?;
        }
        Ok(())
    };
    let warm = Duration::from_millis(request.warmup_ms);
    until(&mut subject, Instant::now() + warm, false)?;
    let (begun, cpu, before) = (Instant::now(), process::cpu_time(), probe.finished());
    let half = Duration::from_millis(request.measure_ms) / 2;
    until(&mut subject, begun + half, true)?;
    probe.begin_second_half();
    until(&mut subject, begun + 2 * half, true)?;
    let took = begun.elapsed();
    let items = probe.finished() - before;
    let cpu = process::cpu_time() - cpu;
    subject.finish()?;
    let all = probe.latencies().all();
    let mut metrics = process::rates(items, took, cpu);
    metrics.extend(latencies::quantiles(&all));
    metrics.insert("loss".to_owned(), 0.0);
    Ok(Answer {
        metrics,
        latencies: latencies::counts(&all),
        ..Answer::default()
    })
}
