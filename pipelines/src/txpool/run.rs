//! One run of the pipeline, from its environment to what came out.

use std::{path::PathBuf, time::Duration};

use pipewright::{Blueprint, Builder, Ledger, Report, StartError, TuningError};

use super::{cli::Order, env::Env, flow, progress, summary::Summary};

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
    pub ledger: Ledger,
    /// What went wrong in the run itself, whatever the input was: panics, and items that are not accounted for.
    pub problems: Vec<String>,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The tuning file cannot be used.
    #[error(transparent)]
    Tuning(#[from] TuningError),
    /// The pipeline cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Failure {
    /// Whether the command line or the environment is to blame.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Tuning(_) => true,
            Self::Start(error) => {
                matches!(error, StartError::Number(_) | StartError::Tuning(_))
            }
        }
    }
}

impl Settings {
    /// Runs.
    ///
    /// # Errors
    ///
    /// If the run cannot start. What goes wrong later is in the outcome.
    pub fn run(&self, env: Env) -> Result<Outcome, Failure> {
        match self.order {
            Order::Keep => self.finish(flow::txpool::pipeline(), env),
            Order::Any => self.finish(flow::txpool_any::pipeline(), env),
        }
    }

    /// Runs one of the two pipelines to its end.
    fn finish<P: Blueprint<Env = Env>>(
        &self,
        mut pipeline: Builder<P>,
        env: Env,
    ) -> Result<Outcome, Failure> {
        if let Some(path) = &self.tuning {
            pipeline = pipeline.tuning_file(path)?;
        }
        if let Some(workers) = self.workers {
            pipeline = pipeline.workers(workers as usize);
        }
        let (size, tally) = (env.size(), env.tally.clone());
        let run = pipeline.start(env)?;
        let ended = progress::during(size, &tally, || run.wait());
        let (report, error) = match ended {
            Ok(report) => (report, None),
            Err(failed) => (failed.report, Some(failed.error.to_string())),
        };
        Ok(Outcome {
            summary: tally.summary(),
            elapsed: report.elapsed(),
            ledger: report.ledger(),
            problems: problems(&report, error),
        })
    }
}

impl Outcome {
    /// Whether the run did its work and the input is what it claims to be.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.summary.is_good()
    }
}

fn problems<P: Blueprint>(report: &Report<P>, error: Option<String>) -> Vec<String> {
    let ledger = report.ledger();
    let notes = report.panics().iter();
    let mut problems: Vec<_> = notes
        .map(|note| format!("`{}` panicked: {}", note.stage, note.message))
        .collect();
    let more = ledger.panicked.saturating_sub(problems.len() as u64);
    if more > 0 {
        problems.push(format!("and {more} more panics"));
    }
    // A panic that ended the run is already among the notes.
    problems.extend(error.filter(|error| !problems.contains(error)));
    problems
}
