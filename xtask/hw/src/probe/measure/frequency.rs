//! A10. Cycles in a second.
//!
//! A chain of `x = rotate(x ^ k)`, of which each step needs the one before: two cycles a step on all cpus of today, and nothing a
//! compiler could shorten. Against the counter, which runs at a fixed rate, it tells how fast the core runs now. By one cpu, then
//! by all at once, in steps of some milliseconds, because boosts fade.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pipewright_bench::stats::median;

use super::{Context, Why};
use crate::probe::{
    clock::Ticks,
    result::{Curve, Detail, Measurement, Rating, Unit},
    seat,
    stats::Summary,
};

const STEPS: u32 = 500_000;
/// Points of a curve that are kept for drawing.
const DRAWN: usize = 80;
const CYCLES: f64 = 2.0;
/// A fall by more is worth a look.
const FALL: f64 = 0.9;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let mut curves = Vec::new();
    let alone = seat::on(context.first()?, || run(ticks, about / 2))?;
    let one = out.row(
        "one cpu",
        Unit::Hertz,
        alone.iter().map(|(_, hertz)| *hertz),
    );
    curves.push(Curve {
        name: "one cpu".into(),
        points: alone,
    });
    let mut all = None;
    if context.cpus.len() > 1 {
        let together = seat::all(&context.cpus, |_| run(ticks, about / 2))?;
        all = out.row(
            "all cpus",
            Unit::Hertz,
            together.iter().flatten().map(|(_, hertz)| *hertz),
        );
        let named = context.cpus.iter().zip(together);
        curves.extend(named.map(|(cpu, points)| Curve {
            name: format!("cpu {cpu}, with all"),
            points,
        }));
    }
    let falls = curves
        .iter()
        .filter(|curve| fell(&curve.points))
        .map(|curve| curve.name.clone())
        .collect::<Vec<_>>();
    out.rating = if falls.is_empty() {
        Rating::Pass
    } else {
        Rating::Warn
    };
    if !falls.is_empty() {
        out.note(format!(
            "the frequency fell by more than 10 % while it was measured: {} (checks F03, F06)",
            falls.join(", ")
        ));
    }
    if let Some((one, all)) = one.zip(all) {
        out.note(together(one, all));
    }
    for curve in &mut curves {
        let each = curve.points.len().div_ceil(DRAWN).max(1);
        curve.points = curve.points.iter().copied().step_by(each).collect();
    }
    out.details.push(Detail::Frequency(curves));
    Ok(())
}

fn together(one: Summary, all: Summary) -> String {
    let change = pipewright_draw::format::change(all.p50 / one.p50);
    format!("with all cpus at work: {change} against one alone")
}

/// (seconds since it began, cycles per second) of each step.
fn run(ticks: &Ticks, about: Duration) -> Vec<(f64, f64)> {
    let began = Instant::now();
    let mut points = Vec::new();
    let mut x = 1;
    while points.len() < 10 || began.elapsed() < about {
        let at = began.elapsed().as_secs_f64();
        let from = ticks.now();
        x = chain(x, black_box(0x5DEE_CE66), STEPS);
        points.push((at, f64::from(STEPS) * CYCLES * 1e9 / ticks.since(from)));
    }
    black_box(x);
    points
}

#[inline(never)]
pub(super) fn chain(mut x: u64, k: u64, steps: u32) -> u64 {
    for _ in 0..steps {
        x = (x ^ k).rotate_left(7);
    }
    x
}

/// Whether the last quarter is more than 10 % slower than the first one. By their medians: a step in which something else
/// ran is no fall.
fn fell(points: &[(f64, f64)]) -> bool {
    let quarter = points.len() / 4;
    let hertz = |part: &[(f64, f64)]| {
        let all: Vec<f64> = part.iter().map(|(_, hertz)| *hertz).collect();
        median(&all)
    };
    let (first, last) = (
        hertz(&points[..quarter]),
        hertz(&points[points.len() - quarter..]),
    );
    first
        .zip(last)
        .is_some_and(|(first, last)| last < first * FALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_found_and_a_single_slow_step_is_none() {
        let series = |hertz: &dyn Fn(u32) -> f64| {
            (0..40)
                .map(|at| (f64::from(at), hertz(at)))
                .collect::<Vec<_>>()
        };
        assert!(!fell(&series(&|_| 3.0e9)));
        assert!(!fell(&series(&|at| if at == 39 { 1.0e9 } else { 3.0e9 })));
        assert!(fell(&series(&|at| if at > 20 { 2.5e9 } else { 3.0e9 })));
        assert!(!fell(&[]));
    }
}
