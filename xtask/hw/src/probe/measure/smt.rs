//! A11. Whether cpus are threads of one core that do not say so, as guests of clouds may see them.
//!
//! Four independent chains of multiplications, which fill a core, on one cpu of a pair and then on both: threads of one
//! core slow each other by more than a quarter. If each pair loses, it is the host that is shared, or its time that is limited. What
//! it means is judged together with A7 (`judge.rs`).

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{Context, Why};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Unit},
    seat,
    stats::Summary,
};

const STEPS: u32 = 20_000;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let pairs = context.pairs()?;
    let ticks = &context.ticks;
    let least = Duration::from_millis(1);
    let each = (about / pairs.len() as u32 / 2).max(least);
    let began = Instant::now();
    let mut left = 0;
    for (a, b) in pairs {
        // Many cpus have more pairs than there is time for.
        if began.elapsed() > about * 2 {
            left += 1;
            continue;
        }
        let alone = seat::on(a, || run(ticks, each))?;
        let (together, _) = seat::pair((a, b), || run(ticks, each), || run(ticks, each))?;
        let loss = alone
            .zip(together)
            .map(|(alone, together)| 1.0 - alone.min / together.p50.max(alone.min));
        out.row(format!("cpu {a} loses beside {b}"), Unit::Part, loss);
    }
    if left > 0 {
        out.note(format!(
            "{left} pairs were not measured: it would have taken too long"
        ));
    }
    Ok(())
}

/// Nanoseconds of a step.
fn run(ticks: &Ticks, about: Duration) -> Option<Summary> {
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut chains = [1u64, 2, 3, 4];
    while samples.len() < 10 || began.elapsed() < about {
        let from = ticks.now();
        chains = multiply(chains, black_box(6_364_136_223_846_793_005));
        samples.push(ticks.since(from) / f64::from(STEPS));
    }
    black_box(chains);
    Summary::of(samples)
}

#[inline(never)]
fn multiply(mut chains: [u64; 4], by: u64) -> [u64; 4] {
    for _ in 0..STEPS {
        for chain in &mut chains {
            *chain = chain.wrapping_mul(by) ^ 1;
        }
    }
    chains
}
