//! One run of the pipeline, from its environment to what came out.

use std::{path::PathBuf, time::Duration};

use pipewright::{
    Blueprint, Builder, Health, Ledger, Report, Retuning, RunError, Signals, StartError,
    TuningError,
};

use super::{cli::Order, env::Env, flow, progress, summary::Summary};

/// What is on its way when the process is asked to end has so long to get to its end.
const DRAIN: Duration = Duration::from_secs(25);

/// How to run.
#[derive(Debug)]
pub struct Settings {
    /// Whether blocks are settled in the order of the input.
    pub order: Order,
    /// How many threads work; as many as there are cores if not said.
    pub workers: Option<u32>,
    /// A tuning file, which is read again when it changes.
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
    /// How the run was when it ended.
    pub health: Health,
    /// What came of changes of the tuning file.
    pub retunings: Vec<Retuning>,
    /// The process was asked to end, and the run was not over in time.
    pub is_late: bool,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The tuning file cannot be used.
    #[error(transparent)]
    Tuning(#[from] TuningError),
    /// The signals that ask the process to end cannot be taken.
    #[error("cannot take signals: {0}")]
    Signals(#[from] std::io::Error),
    /// The pipeline cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Failure {
    /// Whether the text is a report with places and snippets, which needs nothing around it.
    pub fn is_rendered(&self) -> bool {
        matches!(
            self,
            Self::Tuning(TuningError::Wrong(_))
                | Self::Start(StartError::Tuning(TuningError::Wrong(_)))
        )
    }

    /// Whether the command line or the environment is to blame.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Tuning(_) => true,
            Self::Signals(_) => false,
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
            pipeline = pipeline.watch_tuning(path)?;
        }
        if let Some(workers) = self.workers {
            pipeline = pipeline.workers(workers as usize);
        }
        let (size, tally) = (env.size(), env.tally.clone());
        let signals = Signals::listen()?;
        let run = pipeline.start(env)?;
        let ended = progress::during(size, &tally, || run.wait_for(&signals, DRAIN));
        let (report, error) = match ended {
            Ok(report) => (report, None),
            Err(failed) => (failed.report, Some(failed.error)),
        };
        Ok(Outcome {
            summary: tally.summary(),
            elapsed: report.elapsed(),
            ledger: report.ledger(),
            health: report.health().clone(),
            retunings: report.retunings().to_vec(),
            is_late: matches!(error, Some(RunError::Deadline { .. })),
            problems: problems(&report, error.map(|error| error.to_string())),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pipewright::pipeline;

    use super::*;
    use crate::txpool::feed::Input;

    #[pipeline(env = Env)]
    mod fragile {
        use crate::txpool::{env::Env, feed, types::RawBlock};

        #[source]
        fn texts(env: &Env) -> impl Iterator<Item = RawBlock> {
            feed::blocks(env)
        }

        #[sink(from = texts)]
        fn handle(raw: RawBlock) {
            assert_ne!(raw.text.as_deref(), Ok(&b"bomb"[..]), "boom");
        }
    }

    fn settings(tuning: Option<PathBuf>) -> Settings {
        Settings {
            order: Order::Keep,
            workers: Some(1),
            tuning,
        }
    }

    fn env(texts: &[&'static str]) -> Env {
        let texts = texts.iter().map(|text| Bytes::from_static(text.as_bytes()));
        Env::new(vec![Input::Texts("made".into(), texts.collect())], 1)
    }

    #[test]
    fn a_panic_fails_the_run_and_is_told() {
        let run = |texts: &[&'static str]| {
            let outcome = settings(None).finish(fragile::pipeline(), env(texts));
            outcome.expect("starts")
        };
        let fine = run(&["a", "b"]);
        assert!(fine.is_good() && fine.problems.is_empty());
        let broken = run(&["a", "bomb", "b"]);
        assert!(!broken.is_good());
        assert_eq!(broken.ledger.panicked, 1);
        assert!(
            broken.problems.len() == 1 && broken.problems[0].starts_with("`handle` panicked: "),
            "{:?}",
            broken.problems
        );
        let many = run(&["bomb"; 100]).problems;
        assert!(
            many.last()
                .is_some_and(|last| last.ends_with(" more panics")),
            "{many:?}"
        );
    }

    #[test]
    fn a_bad_tuning_file_starts_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = |text: &str| {
            let path = folder.path().join("tuning.ron");
            std::fs::write(&path, text).expect("writes");
            settings(Some(path)).run(env(&[]))
        };
        assert!(run(r#"(stages: {"blocks": (batch: 2)})"#).is_ok());
        let error = run(r#"(stages: {"block": (batch: 2)})"#).expect_err("no such stage");
        assert!(error.is_usage() && error.is_rendered());
        assert!(error.to_string().contains("tuning.ron:1:12"), "{error}");
        let error = settings(Some("no/such/file".into()))
            .run(env(&[]))
            .expect_err("no file");
        assert!(error.is_usage() && !error.is_rendered());
    }
}
