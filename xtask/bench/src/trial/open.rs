//! Items at their own times.

use std::time::{Duration, Instant};

use super::{
    Probe, Stamp, Subject, Trial,
    apart::Apart,
    closed::WINDOWS,
    latencies,
    probe::ONE_IN,
    process,
    timeline::{Now, Timeline},
};
use crate::{
    load::{Arrivals, Load, Phase, SPIN_ALONE, SPIN_SHARED, drive, plan},
    protocol::{Answer, Generator, Request},
};

pub(super) fn run<S: Subject>(request: &Request, rate: f64) -> Trial {
    let load = request
        .load
        .clone()
        .unwrap_or_else(|| Load::steady(rate, request.measure_ms));
    let times = times(&load, request)?;
    let warm = Duration::from_millis(request.warmup_ms);
    let first = times.partition_point(|at| *at < warm.as_nanos() as u64);
    let middle = first + (times.len() - first) / 2;
    let probe = Probe::new(S::STAGES, None, false);
    let apart = Apart::leave_one(S::processors(request));
    let mut subject = S::start(request, probe.clone())?;
    let alone = apart.take_it();
    let spin = if alone { SPIN_ALONE } else { SPIN_SHARED };
    let mut timeline = Timeline::new(&times[first..], request);
    let mut queued = Queued::default();
    let mut windows = Windows::new(Duration::from_millis(request.measure_ms) / WINDOWS);
    let begun = Instant::now();
    let mut work = Work::begin();
    // All of them, and those that came before the warm-up ended.
    let mut refused = [0, 0];
    let send = |n: usize, intended: Instant| {
        if n == first {
            work = Work::begin();
            refused[1] = refused[0];
        }
        let mut stamp = Stamp::new(intended);
        if n >= first {
            let (time, done) = (Instant::now(), probe.finished());
            let now = Now {
                late: time - intended,
                queued: (n as u64).saturating_sub(done + refused[0]),
                done,
            };
            queued.see(now.queued);
            windows.see(time, done);
            stamp = stamp.counts(timeline.see(times[n], now, || subject.signs()));
            if (n as u64).is_multiple_of(ONE_IN) {
                stamp = stamp.traced(now.late);
            }
        }
        if n == middle {
            probe.begin_second_half();
        }
        let item = subject.item(stamp);
        let taken = work.sends(|| subject.try_send(item));
        if !taken {
            refused[0] += 1;
            timeline.refused();
        }
        taken
    };
    let drive = drive(begun, &times, spin, send);
    let last = Instant::now();
    timeline.end(probe.finished(), subject.signs());
    subject.finish()?;
    let ended = Ended {
        took: begun.elapsed().saturating_sub(warm),
        cpu: work.until_now(),
        drain: last.elapsed(),
        offered: (times.len() - first) as u64,
        refused: refused[0] - refused[1],
        late_p99_ns: drive.lateness.value_at_quantile(0.99),
        shared: !alone,
    };
    let answer = ended.answer(&load, &probe, queued);
    Ok(Answer {
        windows: match steady(&load) {
            true => windows.rates,
            false => Vec::new(),
        },
        timeline: timeline.told(&probe),
        passages: probe.passages(answer.metrics["throughput"], request.workers()),
        ..answer
    })
}

/// Processor time of the subject: that of all other threads, and what it takes of this one to send. That this one waits for an item's
/// time, and makes it, is no work of the subject.
#[derive(Clone, Copy, Debug)]
struct Work {
    /// Processor time of the other threads when it began.
    others: Duration,
    sending: Duration,
}

impl Work {
    fn begin() -> Self {
        Self {
            others: process::others_cpu_time(),
            sending: Duration::ZERO,
        }
    }

    fn sends<T>(&mut self, send: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let sent = send();
        self.sending += begun.elapsed();
        sent
    }

    fn until_now(self) -> Duration {
        process::others_cpu_time().saturating_sub(self.others) + self.sending
    }
}

/// What is known of a trial when all of its items are done.
struct Ended {
    took: Duration,
    cpu: Duration,
    /// How long it took after the last item had come.
    drain: Duration,
    offered: u64,
    refused: u64,
    late_p99_ns: u64,
    /// Did the generator share its processors with the subject?
    shared: bool,
}

impl Ended {
    /// The metrics, and what the generator did.
    fn answer(&self, load: &Load, probe: &Probe, queued: Queued) -> Answer {
        let all = probe.latencies().all();
        let items = all.len();
        let lost = self.offered - items;
        let mut metrics = process::rates(items, self.took, self.cpu);
        metrics.extend(latencies::quantiles(&all));
        metrics.insert("loss".to_owned(), lost as f64);
        let in_pipeline = metrics["throughput"] * all.mean() / 1e9;
        let generator = Generator {
            offered: self.offered,
            sent: self.offered - self.refused,
            refused: self.refused,
            late_p99_ns: self.late_p99_ns,
            little_residual: match load.arrivals {
                // What is lost on the way has no latency, so the law says nothing of it.
                Arrivals::Poisson if steady(load) && lost == self.refused => {
                    queued.residual(in_pipeline)
                }
                _ => 0.0,
            },
            drain_ns: self.drain.as_nanos() as u64,
            shared: Some(self.shared),
        };
        Answer {
            metrics,
            generator: Some(generator),
            latencies: latencies::counts(&all),
            ..Answer::default()
        }
    }
}

/// The plan: the rate that the load begins with while it warms up, then the load.
fn times(load: &Load, request: &Request) -> Result<Vec<u64>, String> {
    let warm = request.warmup_ms * 1_000_000;
    let times = plan(&load.arrivals, &load.phases, request.seed)?;
    let rate = first_rate(load, &times).ok_or("the load has no items")?;
    let before = [Phase::Steady {
        rate,
        during_ms: request.warmup_ms,
    }];
    let mut all = plan(&Arrivals::Poisson, &before, !request.seed)?;
    all.extend(times.iter().map(|at| warm + at));
    Ok(all)
}

/// The rate that a load begins with, in items a second; `None` if it has no items. A trace has none but its mean, and a load that
/// begins with nothing warms up at its mean, too: without items everything would be cold when the first of them comes.
fn first_rate(load: &Load, times: &[u64]) -> Option<f64> {
    let last = *times.last()?;
    let mean = times.len() as f64 * 1e9 / last.max(1) as f64;
    let begins = load.phases.first().map(Phase::pieces);
    let begins = begins.and_then(|pieces| pieces.first().map(|piece| piece.from));
    Some(begins.filter(|rate| *rate > 0.0).unwrap_or(mean))
}

/// Does the same rate come all the time?
fn steady(load: &Load) -> bool {
    matches!(load.phases[..], [Phase::Steady { .. }])
}

/// What is done in equal parts of the time.
struct Windows {
    length: Duration,
    from: Option<(Instant, u64)>,
    rates: Vec<f64>,
}

impl Windows {
    fn new(length: Duration) -> Self {
        Self {
            length,
            from: None,
            rates: Vec::new(),
        }
    }

    /// So many are done now.
    fn see(&mut self, now: Instant, done: u64) {
        let Some((from, before)) = self.from else {
            self.from = Some((now, done));
            return;
        };
        let took = now - from;
        if took >= self.length {
            self.rates.push((done - before) as f64 / took.as_secs_f64());
            self.from = Some((now, done));
        }
    }
}

/// How many items were in the pipeline when one came. Poisson arrivals see what there is on average (Wolff, "Poisson Arrivals
/// See Time Averages", 1982).
#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    seen: u64,
    sum: u64,
}

impl Queued {
    fn see(&mut self, items: u64) {
        self.seen += 1;
        self.sum += items;
    }

    /// How far that is from the rate times the latency. With less than one item on average chance is larger than any mistake.
    fn residual(self, little: f64) -> f64 {
        let mean = self.sum as f64 / self.seen.max(1) as f64;
        match mean.max(little) {
            more if more < 1.0 => 0.0,
            more => (mean - little).abs() / more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warms_up_with_the_rate_that_the_load_begins_with() {
        let request = Request::new("latency/x", 42, [2_000, 1_000]);
        let during_ms = 1_000;
        let check = |phase: Phase, expect: f64| {
            let load = Load {
                arrivals: Arrivals::Poisson,
                phases: vec![phase.clone()],
            };
            let times = times(&load, &request).expect("it has items");
            let warm = times.iter().filter(|at| **at < 2_000_000_000).count();
            // So many come in two seconds, and their number is as far off as chance makes it: by 5 of its roots at most.
            let mean = 2.0 * expect;
            let off = (warm as f64 - mean).abs();
            assert!(off < 5.0 * mean.sqrt(), "{phase:?}: {warm} for {mean}");
        };
        check(
            Phase::Steady {
                rate: 1e3,
                during_ms,
            },
            1e3,
        );
        check(
            Phase::Ramp {
                from: 5e2,
                to: 2e4,
                during_ms,
            },
            5e2,
        );
        // What begins with nothing has its mean.
        check(
            Phase::Ramp {
                from: 0.0,
                to: 4e3,
                during_ms,
            },
            2e3,
        );
        check(
            Phase::Spike {
                base: 1e3,
                times: 10.0,
                during_ms,
            },
            1e3,
        );
        check(
            Phase::Burst {
                base: 1e3,
                peak: 2e4,
                on_ms: 50,
                off_ms: 50,
                during_ms,
            },
            1e3,
        );
        check(
            Phase::Sine {
                mean: 1e3,
                amplitude: 0.8,
                period_ms: 500,
                during_ms,
            },
            1e3,
        );
    }

    #[test]
    fn a_trace_warms_up_at_its_mean() {
        let trace = Load {
            arrivals: Arrivals::Trace((1..=1_000).map(|at| at * 1_000_000).collect()),
            phases: Vec::new(),
        };
        let request = Request::new("latency/x", 42, [1_000, 1_000]);
        let all = times(&trace, &request).expect("it has items");
        let warm = all.len() - 1_000;
        assert!((850..1_150).contains(&warm), "{warm}");
        let none = Load {
            arrivals: Arrivals::Trace(Vec::new()),
            ..trace
        };
        assert!(times(&none, &request).is_err());
    }
}
