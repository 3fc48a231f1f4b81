//! One run of the pipeline, from its environment to what came out.

use std::path::PathBuf;

use pipewright::{Blueprint, Builder};

use super::{cli::Order, env::Env, flow, progress, summary::Summary};
use crate::{
    ending::{DRAIN, Ending},
    starting::{self, Unstarted},
};

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
    /// How the run ended.
    pub ending: Ending,
}

impl Settings {
    /// Runs.
    ///
    /// # Errors
    ///
    /// If the run cannot start. What goes wrong later is in the outcome.
    pub fn run(&self, env: Env) -> Result<Outcome, Unstarted> {
        match self.order {
            Order::Keep => self.finish(flow::txpool::pipeline(), env),
            Order::Any => self.finish(flow::txpool_any::pipeline(), env),
        }
    }

    /// Runs one of the two pipelines to its end.
    fn finish<P: Blueprint<Env = Env>>(
        &self,
        pipeline: Builder<P>,
        env: Env,
    ) -> Result<Outcome, Unstarted> {
        let workers = self.workers.map(|workers| workers as usize);
        let pipeline = starting::tuned(pipeline, self.tuning.as_deref(), workers)?;
        let (size, tally) = (env.size(), env.tally.clone());
        let signals = starting::signals()?;
        let run = pipeline.start(env)?;
        let ended = progress::during(size, &tally, || run.wait_for(&signals, DRAIN));
        let (ending, _) = Ending::of(ended);
        Ok(Outcome {
            summary: tally.summary(),
            ending,
        })
    }
}

impl Outcome {
    /// Whether the run did its work and the input is what it claims to be.
    pub fn is_good(&self) -> bool {
        self.ending.problems.is_empty() && self.summary.is_good()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pipewright::pipeline;

    use super::*;
    use crate::{starting::Refusal, txpool::feed::Input};

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
        assert!(fine.is_good() && fine.ending.problems.is_empty());
        let broken = run(&["a", "bomb", "b"]);
        assert!(!broken.is_good());
        assert_eq!(broken.ending.ledger.panicked, 1);
        assert!(
            broken.ending.problems[0].starts_with("`handle` panicked: "),
            "{:?}",
            broken.ending.problems
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
