//! One run of the pipeline, from its environment to what came out.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{cli::Order, env::Env, progress, sequential, summary::Summary};

/// How to run.
#[derive(Debug)]
pub struct Settings {
    /// Whether the sinks see the input's order.
    pub order: Order,
    /// How many threads work; as many as there are cores if not said.
    pub workers: Option<u32>,
    /// A tuning file.
    pub tuning: Option<PathBuf>,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// The counts and the ranking.
    pub summary: Summary,
    /// How long it took.
    pub elapsed: Duration,
    /// The run's account of its items.
    pub ledger: Value,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {}

impl Failure {
    /// Whether the command line is to blame.
    pub fn is_usage(&self) -> bool {
        match *self {}
    }
}

impl Settings {
    /// Runs.
    pub fn run(&self, env: Env) -> Result<Outcome, Failure> {
        let started = Instant::now();
        progress::during(&env, || sequential::run(&env));
        Ok(Outcome {
            summary: env.tally.summary(),
            elapsed: started.elapsed(),
            ledger: Value::Null,
        })
    }
}
