//! A9. How many bytes are read and written in a second.
//!
//! The triad of STREAM (McCalpin 1995), `a[i] = b[i] + s * c[i]`, and a copy, in memory that is several times the largest cache:
//! by one cpu, and by all at once, each in memory of its own that it touched first. Counted are the bytes that the loop names, as
//! STREAM does; that a store reads its line first is not counted. The best pass counts, the others are told.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{Context, Why, pages};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Unit},
    seat,
};

/// So many times the largest cache, for the three vectors together; and at most so many bytes, and of what is free.
const CACHES: u64 = 4;
const MOST: u64 = 256 << 20;

/// Bytes per second of each pass: of the triad, and of the copy.
type Rates = (Vec<f64>, Vec<f64>);

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let cpus = &context.cpus;
    let wanted = CACHES * pages::largest_cache(context.first()?);
    let total = wanted.min(MOST).min(pages::available() / 4);
    let ticks = &context.ticks;
    let all = |count: usize, about: Duration| {
        let elements = (total / count as u64 / 24).max(4096) as usize;
        seat::all(&cpus[..count], |_| passes(ticks, elements, about))
    };
    let alone = all(1, about / 2)?.remove(0);
    out.row("triad, one cpu", Unit::BytesPerSecond, alone.0);
    out.row("copy, one cpu", Unit::BytesPerSecond, alone.1);
    if cpus.len() > 1 {
        let together = all(cpus.len(), about / 2)?;
        let sum = |pick: fn(&Rates) -> &Vec<f64>| {
            // Passes of different threads overlap by and large: the n-th of all of them are taken together.
            let shortest = together
                .iter()
                .map(|rates| pick(rates).len())
                .min()
                .unwrap_or(0);
            (0..shortest)
                .map(|pass| together.iter().map(|rates| pick(rates)[pass]).sum())
                .collect::<Vec<f64>>()
        };
        let name = format!("{} cpus", cpus.len());
        out.row(
            format!("triad, {name}"),
            Unit::BytesPerSecond,
            sum(|rates| &rates.0),
        );
        out.row(
            format!("copy, {name}"),
            Unit::BytesPerSecond,
            sum(|rates| &rates.1),
        );
    }
    if total < wanted {
        out.note(format!(
            "in {} of memory, which is less than {CACHES} times the largest cache: a part of it may come from there",
            pipewright_draw::format::bytes(total as f64)
        ));
    }
    Ok(())
}

fn passes(ticks: &Ticks, elements: usize, about: Duration) -> Rates {
    let (mut a, mut b, c) = (
        vec![1.0f64; elements],
        vec![2.0f64; elements],
        vec![3.0f64; elements],
    );
    let began = Instant::now();
    let (mut triads, mut copies) = (Vec::new(), Vec::new());
    while triads.len() < 3 || began.elapsed() < about {
        let from = ticks.now();
        triad(&mut a, &b, &c, black_box(0.5));
        triads.push((elements * 24) as f64 * 1e9 / ticks.since(from));
        let from = ticks.now();
        b.copy_from_slice(black_box(&a));
        copies.push((elements * 16) as f64 * 1e9 / ticks.since(from));
    }
    black_box((&a, &b));
    (triads, copies)
}

#[inline(never)]
fn triad(a: &mut [f64], b: &[f64], c: &[f64], scale: f64) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = b + scale * c;
    }
}
