//! The budgets: what each mechanism may cost on a virtual machine with two cores, and whether it does.
//!
//! [`TABLE`] is their one home. A group measures the budgets of one id several times; [`judge`] compares the median with the
//! bound. Differences and ratios come from paired rounds of one run, so a slow minute of the machine is in both sides.

mod calibrate;
mod compile;
pub mod critical;
mod expansion;
pub mod forks;
mod fused;
mod goals;
pub mod guarded;
mod pieces;
pub mod pipelines;
mod shown;
mod table;
mod verdict;
mod waking;

use std::time::Duration;

pub use self::{
    calibrate::clock_ns,
    shown::{Machine, Row, json, print_head, print_row},
    table::{Bound, Budget, TABLE},
    verdict::{Spread, Verdict, judge},
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Times that each budget is measured.
    pub rounds: usize,
    /// Is a tenth of the work enough?
    pub quick: bool,
    /// Allocations of this process so far.
    pub allocations: fn() -> usize,
}

impl Plan {
    /// So many operations, or a tenth.
    fn n(&self, full: u64) -> u64 {
        if self.quick { full.div_ceil(10) } else { full }
    }

    /// Measures `rounds` times.
    fn rounds<T>(&self, mut once: impl FnMut() -> T) -> Vec<T> {
        (0..self.rounds).map(|_| once()).collect()
    }

    /// Nanoseconds of each of `n` operations, measured `rounds` times.
    fn each(&self, n: u64, mut time_of: impl FnMut(u64) -> Duration) -> Vec<f64> {
        self.rounds(|| nanoseconds(time_of(n)) / n as f64)
    }
}

/// What was measured for a budget: a value of each round, or why there is none.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The key of the budget.
    pub key: &'static str,
    /// The values, in the budget's unit.
    pub values: Result<Vec<f64>, &'static str>,
}

impl Reading {
    fn new(key: &'static str, values: Vec<f64>) -> Self {
        Self {
            key,
            values: Ok(values),
        }
    }

    /// Cannot be known on this machine.
    fn unknown(key: &'static str, why: &'static str) -> Self {
        Self {
            key,
            values: Err(why),
        }
    }
}

/// Measures all budgets of one id.
pub type Group = (&'static str, fn(&Plan) -> Vec<Reading>);

/// What is measured, in this order; the calibration first, and what looks at the whole process last.
pub const GROUPS: &[Group] = &[
    ("B0", calibrate::all),
    ("B1", fused::chain),
    ("B2", fused::boundary),
    ("B3", fused::carried),
    ("B4", pieces::token),
    ("B5", pieces::gate),
    ("B6", pieces::hold),
    ("B7", pieces::deque),
    ("B8", pieces::steal),
    ("B9", pieces::input),
    ("B10", pieces::ring),
    ("B11", pieces::hop),
    ("B12", waking::wake),
    ("B13", waking::call),
    ("B14", waking::urgent),
    ("B15", pieces::keyed),
    ("B16", fused::arms),
    ("B17", goals::futures),
    ("guards", guarded::closed),
    ("B18", goals::idle),
    ("B19", goals::allocations),
    ("B20", fused::scaling),
    ("B21", waking::linger),
    ("send", waking::send),
    ("tasks", goals::tasks),
    ("cache", goals::cache),
    ("fork", forks::untaken),
    ("threads", goals::threads),
    ("load", goals::load),
    ("critical", critical::critical),
    ("memory", goals::memory),
    ("expansion", expansion::expansion),
    ("compile", compile::compile),
];

/// Groups that run only when they are named, because they take minutes.
pub const ON_REQUEST: &[&str] = &["compile"];

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The value that `share` of the sorted values do not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(at.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Those quantiles of values in any order.
fn quantiles<const N: usize>(mut values: Vec<f64>, shares: [f64; N]) -> [f64; N] {
    values.sort_by(f64::total_cmp);
    shares.map(|share| quantile(&values, share))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_budget_has_a_group_and_every_group_a_budget() {
        let of_table: BTreeSet<&str> = TABLE.iter().map(Budget::id).collect();
        let of_groups: BTreeSet<&str> = GROUPS.iter().map(|(id, _)| *id).collect();
        assert_eq!(of_table, of_groups);
    }

    #[test]
    fn no_key_is_there_twice() {
        let keys: BTreeSet<&str> = TABLE.iter().map(|budget| budget.key).collect();
        assert_eq!(keys.len(), TABLE.len());
    }

    #[test]
    fn a_quantile_is_the_value_that_so_many_do_not_exceed() {
        let check = |values: &[f64], share: f64, expect: f64| {
            assert_eq!(quantile(values, share), expect, "{share} of {values:?}");
        };
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, 0.5, 50.0);
        check(&hundred, 0.99, 99.0);
        check(&hundred, 0.999, 100.0);
        check(&hundred, 0.0, 1.0);
        check(&[7.0], 0.5, 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
