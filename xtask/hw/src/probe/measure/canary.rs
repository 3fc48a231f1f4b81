//! A14. How much the same work varies: what `canary.rs` one level up runs, again and again.

use std::time::{Duration, Instant};

use super::{Context, Why};
use crate::probe::{
    canary::Canary,
    judge,
    result::{Detail, Measurement, Rating, Unit},
};

/// Rounds that a measurement has at least, and at most.
const FEWEST: usize = 5;
const MOST: usize = 200;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let canary = Canary::on(&context.cpus)?;
    let began = Instant::now();
    let mut took = Vec::new();
    // The work is fixed, so on a machine that is busy with other things it takes longer: then there are fewer rounds.
    while took.len() < FEWEST || (took.len() < MOST && began.elapsed() < about) {
        took.push(canary.run()?.as_secs_f64() * 1e9);
    }
    out.row("one round", Unit::Nanoseconds, took.iter().copied());
    if let Some(steadiness) = judge::steadiness(&took) {
        out.row(judge::VARIES, Unit::Part, [steadiness.varies]);
        out.row(judge::DRIFTS, Unit::Part, [steadiness.drifts]);
        out.row(judge::DETECTABLE, Unit::Part, [steadiness.detectable]);
        out.rating = match steadiness.detectable {
            part if part <= 0.03 => Rating::Pass,
            part if part <= 0.1 => Rating::Info,
            _ => Rating::Warn,
        };
        out.note(steadiness.to_string());
    }
    out.details.push(Detail::Canary(took));
    Ok(())
}
