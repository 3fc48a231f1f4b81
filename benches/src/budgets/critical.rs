//! Critical items among others, while the workers are nearly busy: requests that arrive when they do, one in twenty critical.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use pipewright::{Merge, Priority, pipeline};
use pipewright_bench::random::Random;

use super::{Plan, Reading, quantiles};
use crate::{load::cost_of, tasks::work};

/// What a request costs.
const SERVICE: Duration = Duration::from_micros(20);
/// Share of the time in which the worker is busy.
const LOAD: f64 = 0.95;
/// One request in so many is critical.
const CRITICAL: u64 = 20;

/// From the intended arrival of a request until it was done, in nanoseconds, by lane.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    critical: Vec<f64>,
    normal: Vec<f64>,
}

impl Merge for Latencies {
    fn merge(&mut self, mut other: Self) {
        self.critical.append(&mut other.critical);
        self.normal.append(&mut other.normal);
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    intended: Instant,
    rounds: u64,
    is_critical: bool,
}

#[pipeline]
pub mod served {
    use super::*;

    /// Does the work, and notes how long the request took.
    #[sink(from = input, order = any, queue = "64Ki", per_worker)]
    pub fn serve(request: Request, latencies: &mut Latencies) {
        std::hint::black_box(work(request.rounds));
        let took = request.intended.elapsed().as_secs_f64() * 1e9;
        match request.is_critical {
            true => latencies.critical.push(took),
            false => latencies.normal.push(took),
        }
    }
}

pub(super) fn critical(plan: &Plan) -> Vec<Reading> {
    let mut seed = 0;
    let rounds = plan.rounds(|| {
        seed += 1;
        let Latencies { critical, normal } = once(plan.n(50_000), seed);
        let [p50, p99] = quantiles(critical, [0.5, 0.99]);
        let [others] = quantiles(normal, [0.5]);
        [p50, p99, others].map(|time| time / 1e3)
    });
    let stalls = plan.rounds(|| stall(Duration::from_millis(plan.n(1000))) / 1e3);
    let reading =
        |key, at: usize| Reading::new(key, rounds.iter().map(|round| round[at]).collect());
    vec![
        reading("critical.p99", 1),
        reading("critical.p50", 0),
        reading("critical.others", 2),
        Reading::new("critical.machine", stalls),
    ]
}

/// What one in a hundred arrivals waits, at any time, until a thread that does nothing but look at the clock runs again while
/// another one spins: what the machine and its system take away, in nanoseconds.
fn stall(time: Duration) -> f64 {
    let over = AtomicBool::new(false);
    let mut gaps = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let gaps = gaps(time);
        over.store(true, Ordering::Relaxed);
        gaps
    });
    // The longest first: beyond a wait of `w` is what each longer gap has beyond it.
    gaps.sort_by(|a, b| b.total_cmp(a));
    let beyond = time.as_secs_f64() * 1e9 / 100.0;
    let mut sum = 0.0;
    for (longer, gap) in gaps.iter().enumerate() {
        if sum - longer as f64 * gap >= beyond {
            return (sum - beyond) / longer as f64;
        }
        sum += gap;
    }
    ((sum - beyond) / gaps.len().max(1) as f64).max(0.0)
}

/// Times of more than 5 us between two looks at the clock, in nanoseconds.
fn gaps(time: Duration) -> Vec<f64> {
    let begun = Instant::now();
    let (mut last, mut gaps) = (begun, Vec::new());
    while last - begun < time {
        let now = Instant::now();
        let gap = now - last;
        if gap > Duration::from_micros(5) {
            gaps.push(gap.as_secs_f64() * 1e9);
        }
        last = now;
    }
    gaps
}

/// A run of one worker, beside the generator that spins.
fn once(count: u64, seed: u64) -> Latencies {
    const TRY: u64 = 10_000;
    let rounds = (TRY as f64 * SERVICE.as_secs_f64() / cost_of(TRY).as_secs_f64()) as u64;
    let run = served::pipeline()
        .workers(1)
        .start(())
        .expect("the worker starts");
    let mut random = Random(seed);
    let mut intended = Instant::now();
    for n in 0..count {
        intended += SERVICE.div_f64(LOAD).mul_f64(-(1.0 - random.unit()).ln());
        while Instant::now() < intended {
            std::hint::spin_loop();
        }
        let is_critical = n % CRITICAL == 0;
        let request = Request {
            intended,
            rounds,
            is_critical,
        };
        let lane = if is_critical {
            Priority::Critical
        } else {
            Priority::Normal
        };
        run.send_at(lane, request).expect("the pipeline runs");
    }
    let mut report = run.drain().expect("no stage fails");
    report.take_state::<served::serve>().unwrap_or_default()
}
