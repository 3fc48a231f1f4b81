//! What a machine does, measured: the fifteen measurements of `hw probe`.
//!
//! Each has a file in `measure/`, whose top says how it measures and after whom. What they have in common:
//!
//! * Threads are pinned, and whether they stayed is asked afterwards; what was measured on another cpu is thrown away.
//! * Memory is touched before it is measured, except where touching it is what is measured.
//! * A figure is the percentiles of its samples ([`Summary`]), and says how many they were. Where a sample is disturbed by
//!   whatever else runs, the least is what the machine can do; maxima are never averaged.
//! * Nothing is taken for measured that was not: a measurement that cannot be had is skipped with its reason.
//!
//! What is computed from the samples is apart from what takes them, so that tests can have recorded ones: [`stats`],
//! [`gaps`], [`clusters`], [`plateaus`], [`judge`].
//!
//! ```no_run
//! use std::time::Duration;
//! use pipewright_hw::probe::{self, Plan};
//!
//! let plan = Plan::new(Duration::from_secs(12));
//! let probe = probe::run(&plan, &mut probe::Unwatched)?;
//! println!("{probe}");
//! # Ok::<(), probe::ProbeError>(())
//! ```

pub mod canary;
pub mod clusters;
pub mod gaps;
pub mod judge;
pub mod page;
pub mod plateaus;
pub mod stats;

mod clock;
mod measure;
mod result;
mod seat;
mod text;

use std::time::{Duration, Instant};

use pipewright::machine::Machine;

use self::{clock::Ticks, measure::Context};
pub use self::{
    measure::{ALL, Kind},
    result::{Curve, Detail, Measurement, Outcome, Probe, Rating, Row, Unit},
    stats::Summary,
};

/// How long a probe takes unless told otherwise, and with `--long`.
pub const SHORT: Duration = Duration::from_secs(12);
/// See [`SHORT`].
pub const LONG: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    time: Duration,
    cpus: Option<Vec<u32>>,
    only: Vec<Kind>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A cpu that was asked for is not there, or this process may not use it.
    #[error("this process may not run on cpu {cpu}\nhelp: it may use {usable}")]
    Cpu {
        /// The cpu.
        cpu: u32,
        /// Those that there are.
        usable: String,
    },
    /// There are no measurements without optimisation.
    #[error(
        "this build is not optimised, so what it measured would be itself\nhelp: build it with `--release`"
    )]
    NotOptimised,
}

/// Who is told how far a probe is, between the measurements, never in one.
pub trait Watch {
    /// A measurement begins, which will take about this long.
    fn begins(&mut self, kind: Kind, about: Duration);
    /// It ended.
    fn ended(&mut self, measurement: &Measurement);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn begins(&mut self, _: Kind, _: Duration) {}
    fn ended(&mut self, _: &Measurement) {}
}

impl Plan {
    /// All measurements on all cpus that this process may use, in about this time.
    pub fn new(time: Duration) -> Self {
        Plan {
            time,
            cpus: None,
            only: Vec::new(),
        }
    }

    /// Only on these cpus.
    #[must_use]
    pub fn cpus(mut self, cpus: Vec<u32>) -> Self {
        self.cpus = Some(cpus);
        self
    }

    /// Only these measurements, if there are any here. Each takes as long as it would among all.
    #[must_use]
    pub fn only(mut self, kinds: Vec<Kind>) -> Self {
        self.only = kinds;
        self
    }

    /// What is measured, in order, and about how long each takes.
    pub fn steps(&self) -> Vec<(Kind, Duration)> {
        let weights: f64 = ALL.iter().map(|kind| kind.weight()).sum();
        let chosen = ALL
            .into_iter()
            .filter(|kind| self.only.is_empty() || self.only.contains(kind));
        chosen
            .map(|kind| (kind, self.time.mul_f64(kind.weight() / weights)))
            .collect()
    }
}

/// Measures.
///
/// # Errors
///
/// If a cpu cannot be used, or the build is not optimised. A measurement that cannot be had is no error: it says why.
pub fn run(plan: &Plan, watch: &mut dyn Watch) -> Result<Probe, ProbeError> {
    if cfg!(debug_assertions) {
        return Err(ProbeError::NotOptimised);
    }
    let machine = Machine::read();
    let cpus = chosen(plan, &machine)?;
    let context = Context {
        cpus,
        machine,
        ticks: Ticks::new(),
    };
    let began = Instant::now();
    let mut measurements = Vec::new();
    for (kind, about) in plan.steps() {
        watch.begins(kind, about);
        let since = Instant::now();
        let mut measurement = measure::take(kind, &context, about);
        measurement.seconds = since.elapsed().as_secs_f64();
        watch.ended(&measurement);
        measurements.push(measurement);
    }
    let mut probe = Probe {
        cpus: context.cpus,
        seconds: began.elapsed().as_secs_f64(),
        measurements,
    };
    judge::disguised_siblings(&mut probe);
    Ok(probe)
}

fn chosen(plan: &Plan, machine: &Machine) -> Result<Vec<u32>, ProbeError> {
    let usable: Vec<u32> = machine.usable().map(|cpu| cpu.id).collect();
    let Some(cpus) = &plan.cpus else {
        return Ok(usable);
    };
    let mut cpus = cpus.clone();
    cpus.sort_unstable();
    cpus.dedup();
    match cpus.iter().find(|cpu| !usable.contains(cpu)) {
        Some(cpu) => {
            let usable = usable
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            Err(ProbeError::Cpu { cpu: *cpu, usable })
        }
        None => Ok(cpus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_take_the_time_of_the_plan_together() {
        for seconds in [1, 12, 60] {
            let plan = Plan::new(Duration::from_secs(seconds));
            let all: f64 = plan
                .steps()
                .iter()
                .map(|(_, about)| about.as_secs_f64())
                .sum();
            assert!((all - seconds as f64).abs() < 0.01, "{all}");
        }
        let one = Plan::new(SHORT).only(vec![Kind::Handoff]).steps();
        assert_eq!(one.len(), 1);
        assert!(one[0].1 < Duration::from_secs(2));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_with_those_that_are() {
        let machine = Machine::simulate("2x1").expect("a machine");
        let plan = Plan::new(SHORT);
        assert_eq!(chosen(&plan, &machine).expect("all"), [0, 1]);
        assert_eq!(
            chosen(&plan.clone().cpus(vec![1, 1]), &machine).expect("one"),
            [1]
        );
        let error = chosen(&plan.cpus(vec![0, 7]), &machine).expect_err("there is no cpu 7");
        assert_eq!(
            error.to_string(),
            "this process may not run on cpu 7\nhelp: it may use 0, 1"
        );
    }
}
