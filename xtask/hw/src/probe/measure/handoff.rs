//! A7. What handing a line of memory from cpu to cpu takes.
//!
//! Two pinned threads change one word in turn by compare-and-swap, as `core-to-core-latency` does; the word is alone in 128 bytes,
//! because neighbouring lines are fetched in pairs. A sample is many round trips; of the samples the least counts, because
//! whatever else runs can only add. Beside it: the same with a line for each direction that only one side writes, as rings do;
//! how additions to one number get slower with the threads; and what a ring between two threads carries.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use pipewright::spsc;

use super::{Context, Why};
use crate::probe::{
    clock::Ticks,
    clusters::clusters,
    result::{Curve, Detail, Measurement, Unit},
    seat,
    stats::Summary,
};

/// Round trips in a sample, and samples of a pair at most.
const TRIPS: u32 = 200;
const SAMPLES: usize = 100;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let pairs = context.pairs()?;
    let cpus = &context.cpus;
    let part = about / 4;
    let mut matrix = vec![vec![None; cpus.len()]; cpus.len()];
    let index = |cpu: u32| cpus.iter().position(|other| *other == cpu);
    for (a, b) in &pairs {
        let samples = swaps(&context.ticks, (*a, *b), part / pairs.len() as u32)?;
        let summary = out.row(format!("cpu {a} to {b}"), Unit::Nanoseconds, samples);
        if let (Some(a), Some(b), Some(summary)) = (index(*a), index(*b), summary) {
            matrix[a][b] = Some(summary.min);
            matrix[b][a] = Some(summary.min);
        }
    }
    let nearest = nearest(&matrix).map_or(pairs[0], |(a, b)| (cpus[a], cpus[b]));
    let (a, b) = nearest;
    out.row(
        format!("cpu {a} to {b}, a line for each direction"),
        Unit::Nanoseconds,
        stores(&context.ticks, nearest, part)?,
    );
    let ring = ring(&context.ticks, nearest, part)?;
    out.summary(
        format!("ring from cpu {a} to {b}, a message of 64 bytes"),
        Unit::Nanoseconds,
        ring,
    );
    let contention = contention(context, part)?;
    if let Some((threads, ns)) = contention.last() {
        out.row(
            format!("addition by {threads} cpus to one number"),
            Unit::Nanoseconds,
            [*ns],
        );
    }
    groups(context, &matrix, out);
    out.details.push(Detail::Handoffs(matrix));
    out.details.push(Detail::Contention(vec![Curve {
        name: "one number".into(),
        points: contention,
    }]));
    Ok(())
}

fn nearest(matrix: &[Vec<Option<f64>>]) -> Option<(usize, usize)> {
    let cells = matrix
        .iter()
        .enumerate()
        .flat_map(|(a, row)| row.iter().enumerate().map(move |(b, ns)| ((a, b), *ns)));
    let measured = cells.filter_map(|(pair, ns)| Some((pair, ns?)));
    measured
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(pair, _)| pair)
}

/// Says which cpus are near each other, and whether the kernel tells the same.
fn groups(context: &Context, matrix: &[Vec<Option<f64>>], out: &mut Measurement) {
    let cpus = &context.cpus;
    let found: Vec<Vec<u32>> = clusters(matrix)
        .into_iter()
        .map(|group| group.into_iter().map(|at| cpus[at]).collect())
        .collect();
    let mut told: Vec<(u32, Vec<u32>)> = Vec::new();
    for cpu in cpus.iter().filter_map(|cpu| context.machine.cpu(*cpu)) {
        match told.iter_mut().find(|(l3, _)| *l3 == cpu.l3) {
            Some((_, group)) => group.push(cpu.id),
            None => told.push((cpu.l3, vec![cpu.id])),
        }
    }
    let told: Vec<Vec<u32>> = told.into_iter().map(|(_, group)| group).collect();
    if found == told {
        out.note(format!(
            "groups of near cpus, as the kernel tells their caches: {}",
            list(&found)
        ));
    } else if cpus.len() > 2 {
        out.note(format!(
            "groups of near cpus: {}; the kernel tells caches of {}",
            list(&found),
            list(&told)
        ));
    }
}

fn list(groups: &[Vec<u32>]) -> String {
    let group = |group: &Vec<u32>| {
        group
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    groups.iter().map(group).collect::<Vec<_>>().join(" | ")
}

fn gone() -> Why {
    "the other thread did not answer".to_owned()
}

/// One way, by two sides that swap one word between `MINE` and `YOURS`.
fn swaps(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    const MINE: u32 = 0;
    const YOURS: u32 = 1;
    const OVER: u32 = 2;
    let word = CachePadded::new(AtomicU32::new(MINE));
    // Relaxed: nothing but the word itself is handed over.
    let swap =
        |from, to| word.compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed);
    let ask = || {
        let samples = samples(ticks, about, || {
            for _ in 0..TRIPS {
                seat::spin(|| swap(MINE, YOURS).ok())?;
            }
            Some(())
        });
        seat::spin(|| swap(MINE, OVER).ok())?;
        samples
    };
    let answer = || {
        while seat::spin(|| match swap(YOURS, MINE) {
            Ok(_) => Some(true),
            Err(OVER) => Some(false),
            Err(_) => None,
        }) == Some(true)
        {}
    };
    seat::pair(cpus, ask, answer)?.0.ok_or_else(gone)
}

/// One way, by two lines that one side each writes.
fn stores(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    const OVER: u32 = u32::MAX;
    let there = CachePadded::new(AtomicU32::new(0));
    let back = CachePadded::new(AtomicU32::new(0));
    let ask = || {
        let mut round = 0u32;
        let samples = samples(ticks, about, || {
            for _ in 0..TRIPS {
                round = round.wrapping_add(1) % OVER;
                there.store(round, Ordering::Release);
                seat::spin(|| (back.load(Ordering::Acquire) == round).then_some(()))?;
            }
            Some(())
        });
        there.store(OVER, Ordering::Release);
        samples
    };
    let answer = || {
        let mut seen = 0;
        while let Some(value) =
            seat::spin(|| Some(there.load(Ordering::Acquire)).filter(|value| *value != seen))
        {
            if value == OVER {
                break;
            }
            back.store(value, Ordering::Release);
            seen = value;
        }
    };
    seat::pair(cpus, ask, answer)?.0.ok_or_else(gone)
}

fn samples(
    ticks: &Ticks,
    about: Duration,
    mut trips: impl FnMut() -> Option<()>,
) -> Option<Vec<f64>> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < 30 || (samples.len() < SAMPLES && began.elapsed() < about) {
        let from = ticks.now();
        trips()?;
        samples.push(ticks.since(from) / f64::from(2 * TRIPS));
    }
    samples.drain(..samples.len() / 10);
    Some(samples)
}

/// What a message costs in a ring, in samples of 10,000.
fn ring(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Option<Summary>, Why> {
    const MESSAGES: u32 = 10_000;
    let (mut producer, mut consumer) = spsc::ring::<[u64; 8]>(1024);
    let send = move || {
        let began = Instant::now();
        let mut samples = Vec::new();
        while samples.len() < 10 || began.elapsed() < about {
            let from = ticks.now();
            for number in 0..MESSAGES {
                let mut message = [u64::from(number); 8];
                loop {
                    match producer.push(message) {
                        Ok(()) => break,
                        Err(_) if producer.is_closed() => return samples,
                        Err(error) => message = error.into_inner(),
                    }
                    std::hint::spin_loop();
                }
            }
            samples.push(ticks.since(from) / f64::from(MESSAGES));
        }
        // Dropping the producer ends the other side.
        samples
    };
    let receive = move || {
        let mut sum = 0u64;
        while !(consumer.is_closed() && consumer.is_empty()) {
            while let Some(message) = consumer.pop() {
                sum = sum.wrapping_add(message[0]);
            }
            std::hint::spin_loop();
        }
        std::hint::black_box(sum)
    };
    let (samples, _) = seat::pair(cpus, send, receive)?;
    Ok(Summary::of_settled(&samples))
}

/// What an addition takes a thread when so many add to one number.
fn contention(context: &Context, about: Duration) -> Result<Vec<(f64, f64)>, Why> {
    const ADDITIONS: u32 = 20_000;
    let cpus = &context.cpus;
    let counts: Vec<usize> = (0..)
        .map(|power| 1usize << power)
        .take_while(|count| *count < cpus.len())
        .chain([cpus.len()])
        .collect();
    let each = about / counts.len() as u32;
    let mut curve = Vec::new();
    for count in counts {
        let number = CachePadded::new(AtomicU64::new(0));
        let samples = seat::all(&cpus[..count], |_| {
            let began = Instant::now();
            let mut samples = Vec::new();
            while samples.len() < 5 || began.elapsed() < each {
                let from = context.ticks.now();
                for _ in 0..ADDITIONS {
                    number.fetch_add(1, Ordering::Relaxed);
                }
                samples.push(context.ticks.since(from) / f64::from(ADDITIONS));
            }
            samples
        })?;
        if let Some(summary) = Summary::of(samples.into_iter().flatten()) {
            curve.push((count as f64, summary.p50));
        }
    }
    Ok(curve)
}
