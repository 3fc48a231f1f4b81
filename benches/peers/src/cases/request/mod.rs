//! `request_*`: an open loop of requests with Poisson arrivals, about 20 us of work each, at 50, 80 and 95 % of what one or
//! two workers could do.
//!
//! A latency is the time from the moment at which the request was meant to arrive until its work is done, so a generator
//! that is late does not hide what its requests waited for. With one worker the generator spins on the other core; with two
//! workers it sleeps between arrivals, because both cores have work.

mod ours;
mod peers;

use std::{
    hint::{black_box, spin_loop},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use pipewright_peers_raw::system::sleep_exactly;

use crate::harness::{Contender, Sample, Scale, same, stats, threads::joined};

/// What a request is meant to cost.
const SERVICE: Duration = Duration::from_micros(20);

/// Rounds of work that take [`SERVICE`] on this machine: the median of several tries, found once in a run of the program.
fn rounds() -> u64 {
    static ROUNDS: OnceLock<u64> = OnceLock::new();
    *ROUNDS.get_or_init(|| {
        const TRY: u64 = 200_000;
        let time = |_| {
            let begun = Instant::now();
            black_box(compute(1, TRY));
            begun.elapsed()
        };
        let mut times: Vec<Duration> = (0..51).map(time).collect();
        times.sort();
        let one = times[times.len() / 2].as_secs_f64() / TRY as f64;
        (SERVICE.as_secs_f64() / one).round().max(1.0) as u64
    })
}

/// A chain that takes a time in proportion to `rounds`. Out of line, so that all contenders run the same code: where it was taken
/// into their loops it came out up to 5 % faster or slower, which at a load that they cannot carry is most of the difference.
#[inline(never)]
fn compute(seed: u64, rounds: u64) -> u64 {
    (0..rounds).fold(seed, |x, _| {
        black_box(x.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1))
    })
}

/// Requests and their answers: each is done once, by whoever has its number.
pub struct Desk {
    rounds: u64,
    begun: Instant,
    requests: Vec<Request>,
}

/// A request: when it was meant to arrive and when it was done, in nanoseconds since the start, and its answer.
struct Request {
    intended: u64,
    done: AtomicU64,
    answer: AtomicU64,
}

impl Desk {
    /// Does a request's work and notes when it was done.
    fn serve(&self, number: usize) {
        let request = &self.requests[number];
        request
            .answer
            .store(compute(number as u64, self.rounds), Relaxed);
        request
            .done
            .store(self.begun.elapsed().as_nanos() as u64, Release);
    }

    fn is_done(&self) -> bool {
        self.requests
            .iter()
            .all(|request| request.done.load(Acquire) > 0)
    }
}

/// The load of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) workers: usize,
    /// Of what the workers could do.
    pub(crate) percent: u32,
}

/// A load, and the arrivals that make it: the same ones in every round.
#[derive(Clone)]
struct Task {
    load: Load,
    arrivals: Arc<[u64]>,
}

impl Task {
    fn new(scale: Scale, load: Load) -> Self {
        let mean =
            SERVICE.as_nanos() as f64 * 100.0 / f64::from(load.percent) / load.workers as f64;
        let mut random = fastrand::Rng::with_seed(31);
        // Not at once: the generator has to begin, and the workers to sleep.
        let mut at = 1e6;
        let arrive = |_| {
            at -= mean * (1.0 - random.f64()).ln();
            at as u64
        };
        let count = scale.of(20_000, 200);
        Self {
            load,
            arrivals: (0..count).map(arrive).collect(),
        }
    }

    /// `submit` hands a number over to a worker, which calls [`Desk::serve`] with it.
    fn run(&self, mut submit: impl FnMut(&Arc<Desk>, usize) + Send) -> Result<Sample, String> {
        let rounds = rounds();
        let request = |intended: &u64| Request {
            intended: *intended,
            done: AtomicU64::new(0),
            answer: AtomicU64::new(0),
        };
        let desk = Arc::new(Desk {
            rounds,
            requests: self.arrivals.iter().map(request).collect(),
            begun: Instant::now(),
        });
        let generate = || {
            sleep_exactly();
            for (number, intended) in self.arrivals.iter().enumerate() {
                self.wait_until(desk.begun + Duration::from_nanos(*intended));
                submit(&desk, number);
            }
        };
        // A thread of its own, so that what it sets for itself stays there.
        thread::scope(|scope| joined(scope.spawn(generate)));
        while !desk.is_done() {
            thread::sleep(Duration::from_millis(1));
        }
        self.judged(&desk)
    }

    fn wait_until(&self, then: Instant) {
        loop {
            let left = then.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self.load.workers {
                1 => spin_loop(),
                _ => thread::sleep(left),
            }
        }
    }

    fn judged(&self, desk: &Desk) -> Result<Sample, String> {
        let latencies = desk
            .requests
            .iter()
            .map(|r| r.done.load(Acquire).saturating_sub(r.intended));
        for (number, request) in desk.requests.iter().enumerate().step_by(97) {
            same(
                &request.answer.load(Relaxed),
                &compute(number as u64, desk.rounds),
            )?;
        }
        let last = desk.requests.iter().map(|r| r.done.load(Acquire)).max();
        measures(latencies, self.arrivals[0], last.unwrap_or_default())
    }

    /// The queue that costs nothing: each request goes to the worker that is free first, and takes [`SERVICE`].
    fn ideal(&self) -> Result<Sample, String> {
        let mut free = vec![0; self.load.workers];
        let mut last = 0;
        let serve = |arrival: &u64| {
            let first = free.iter_mut().min().expect("there is a worker");
            *first = (*first).max(*arrival) + SERVICE.as_nanos() as u64;
            last = last.max(*first);
            *first - arrival
        };
        let latencies: Vec<u64> = self.arrivals.iter().map(serve).collect();
        measures(latencies.into_iter(), self.arrivals[0], last)
    }
}

/// p50, p99, p99.9 and the longest in microseconds, and thousands done in a second.
fn measures(latencies: impl Iterator<Item = u64>, first: u64, last: u64) -> Result<Sample, String> {
    let mut all = stats::times()?;
    latencies.for_each(|latency| all.saturating_record(latency));
    let micros = |part| all.value_at_quantile(part) as f64 / 1e3;
    let rate = all.len() as f64 / (last.saturating_sub(first).max(1) as f64 / 1e6);
    Ok(vec![
        micros(0.5),
        micros(0.99),
        micros(0.999),
        all.max() as f64 / 1e3,
        rate,
    ])
}

pub(crate) fn contenders(scale: Scale, load: Load) -> Vec<Contender> {
    let task = Task::new(scale, load);
    let mut all = ours::contenders(&task);
    let ideal = task.clone();
    all.push(Contender::limit(
        "ideal M/D/c queue (computed)",
        move || ideal.ideal(),
    ));
    all.extend(peers::contenders(&task));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ideal_queue_makes_nobody_wait_who_finds_a_worker_free() {
        let task = |workers, arrivals: &[u64]| Task {
            load: Load {
                workers,
                percent: 50,
            },
            arrivals: arrivals.into(),
        };
        let longest = |workers, arrivals: &[u64]| task(workers, arrivals).ideal().unwrap()[3];
        // The histogram keeps three digits.
        let check = |found: f64, expect: f64| assert!((found - expect).abs() < 0.05, "{found}");
        check(longest(1, &[0, 20_000, 40_000]), 20.0);
        check(longest(1, &[0, 0, 0]), 60.0);
        check(longest(2, &[0, 0, 0]), 40.0);
    }

    #[test]
    fn arrivals_come_at_the_rate_of_the_load() {
        let load = Load {
            workers: 2,
            percent: 80,
        };
        let task = Task::new(Scale::Full, load);
        let (first, last) = (task.arrivals[0], task.arrivals[task.arrivals.len() - 1]);
        let rate = task.arrivals.len() as f64 / ((last - first) as f64 / 1e9);
        assert!((rate / 80_000.0 - 1.0).abs() < 0.03, "{rate}");
    }
}
