//! Open-loop load: tasks that arrive when they do, and how long each takes from its intended arrival.
//!
//! Arrivals are Poisson, from a seed. The generator does not wait for answers, so a pipeline that falls behind shows it
//! (see Gil Tene on coordinated omission). What finds the input full is shed and counted.

use std::time::{Duration, Instant};

use pipewright::{Builder, Merge, Running, TrySendError, pipeline};
use pipewright_bench::load::{Arrivals, Phase, SPIN_SHARED, drive, plan};

use crate::tasks::work;

/// A request: when it should have arrived, and its rounds of [`work`].
#[derive(Clone, Copy, Debug)]
pub struct Request {
    intended: Instant,
    rounds: u64,
}

/// Latencies in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u64>);

impl Merge for Latencies {
    fn merge(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

/// Requests that are sent and served by whichever worker is free.
#[pipeline]
pub mod served {
    use super::*;

    /// Does the work of a request and notes how long it took.
    #[sink(from = input, order = any, queue = 256, per_worker)]
    pub fn serve(request: Request, latencies: &mut Latencies) {
        std::hint::black_box(work(request.rounds));
        latencies
            .0
            .push(request.intended.elapsed().as_nanos() as u64);
    }
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    latencies: Vec<u64>,
    /// Requests that found the input full.
    pub shed: u64,
    /// Requests that arrived.
    pub offered: u64,
    /// From the first arrival to the last answer.
    pub took: Duration,
}

impl Outcome {
    /// The latency that `share` of the served requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let at = (self.latencies.len().saturating_sub(1) as f64 * share) as usize;
        Duration::from_nanos(self.latencies.get(at).copied().unwrap_or(0))
    }

    /// Served requests a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// A load: how many requests of how much work, how many a second, from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests.
    pub count: u64,
    /// Rounds of work of each.
    pub rounds: u64,
    /// Mean time between two arrivals.
    pub gap: Duration,
    /// Seed of the arrivals.
    pub seed: u64,
}

impl Load {
    /// Sends it to a fresh pipeline.
    ///
    /// # Panics
    ///
    /// If the pipeline cannot be started or fails.
    pub fn run(self, workers: usize) -> Outcome {
        self.run_in(served::pipeline().workers(workers))
    }

    /// Sends it to a fresh pipeline whose input holds so many requests.
    ///
    /// # Panics
    ///
    /// If the pipeline cannot be started or fails.
    pub fn run_with_queue(self, workers: usize, queue: u32) -> Outcome {
        let tuning = format!(r#"(stages: {{ "serve": (queue: {queue}) }})"#);
        let pipeline = served::pipeline().tuning("load", &tuning);
        self.run_in(pipeline.expect("the stage has a queue").workers(workers))
    }

    fn run_in(self, pipeline: Builder<served::Pipeline>) -> Outcome {
        let run = pipeline.start(()).expect("the workers can be started");
        let times = self.times();
        let begun = Instant::now();
        let shed = self.send(&run, &times, begun);
        let mut report = run.drain().expect("no stage fails");
        let took = begun.elapsed();
        let served = report.take_state::<served::serve>().unwrap_or_default();
        let mut latencies = served.0;
        latencies.sort_unstable();
        Outcome {
            latencies,
            shed,
            offered: self.count,
            took,
        }
    }

    fn send(self, run: &Running<served::Pipeline>, times: &[u64], begun: Instant) -> u64 {
        let drive = drive(begun, times, SPIN_SHARED, |_, intended| {
            let request = Request {
                intended,
                rounds: self.rounds,
            };
            match run.try_send(request) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => false,
                Err(error) => panic!("the pipeline runs: {error}"),
            }
        });
        drive.refused
    }

    /// When its requests come: so many, of a plan that is long enough for them.
    fn times(self) -> Vec<u64> {
        let phase = Phase::Steady {
            rate: self.gap.as_secs_f64().recip(),
            during_ms: 1000 + (2e3 * self.gap.as_secs_f64() * self.count as f64) as u64,
        };
        let mut times =
            plan(&Arrivals::Poisson, &[phase], self.seed).expect("the rate is a number");
        times.truncate(self.count as usize);
        times
    }
}

/// How many rounds of work take so long on this machine now.
pub fn rounds_of(time: Duration) -> u64 {
    const TRY: u64 = 1000;
    (TRY as f64 * time.as_secs_f64() / cost_of(TRY).as_secs_f64()) as u64
}

/// How long `rounds` of work take on this machine now: the least of some tries.
pub fn cost_of(rounds: u64) -> Duration {
    let once = || {
        let begun = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(work(rounds));
        }
        begun.elapsed() / 100
    };
    (0..20).map(|_| once()).min().unwrap_or_default()
}
