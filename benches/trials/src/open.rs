//! Events at their own times.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use pipewright_bench::{
    load::{Arrivals, Load, Phase, drive, plan},
    protocol::{Answer, Generator, Request},
};

use crate::{
    Trial,
    events::{self, Env, Feed, Watching},
    process,
    timeline::Timeline,
    traces::Traces,
};

/// Events a second, if nothing else is asked.
const RATE: f64 = 20_000.0;

/// Parts of the time that are told apart.
const WINDOWS: u32 = 10;

pub(crate) fn run(request: &Request) -> Trial {
    let load = request
        .load
        .clone()
        .unwrap_or_else(|| Load::steady(RATE, request.measure_ms));
    let times = times(&load, request)?;
    let warm = Duration::from_millis(request.warmup_ms);
    let first = times.partition_point(|at| *at < warm.as_nanos() as u64);
    let traces = Arc::new(Traces::new(times.len() - first));
    let mut env = Env::new(request, load.level);
    env.watch = Some(Watching::Passages(Arc::clone(&traces)));
    let mut feed = Feed::new(request.seed, load.level, &env);
    let run = events::start(request, env.clone())?;
    let mut timeline = Timeline::new(&times[first..], warm);
    let middle = first + (times.len() - first) / 2;
    let mut queued = Queued::default();
    let mut windows = Windows {
        length: Duration::from_millis(request.measure_ms) / WINDOWS,
        from: None,
        rates: Vec::new(),
    };
    let begun = Instant::now();
    let mut cpu = process::cpu_time();
    let mut refused = 0;
    let drive = drive(begun, &times, |n, intended| {
        if n == first {
            cpu = process::cpu_time();
            refused = 0;
        }
        let mut part = None;
        if n >= first {
            let done = env.done.load(Relaxed);
            queued.see(n as u64 - done);
            windows.see(done);
            part = Some(timeline.see(times[n], n as u64 - done, done));
        }
        if n == middle {
            env.stall_from.store(true, Relaxed);
        }
        let mut event = feed.next(intended, part);
        event.trace = n.checked_sub(first).and_then(|n| traces.begin(n, intended));
        let taken = run.try_send(event).is_ok();
        if !taken {
            // What was refused is done: it is not in the pipeline.
            refused += 1;
            timeline.refused();
            env.done.fetch_add(1, Relaxed);
        }
        taken
    });
    let last = Instant::now();
    timeline.end(env.done.load(Relaxed));
    let delivered = events::finish(run)?;
    let took = begun.elapsed().saturating_sub(warm);
    let cpu = process::cpu_time() - cpu;
    let offered = (times.len() - first) as u64;
    let latencies = delivered.latencies();
    let items = latencies.len();
    let rate = items as f64 / took.as_secs_f64();
    let mut metrics = process::rates(items, took, cpu);
    metrics.extend(events::quantiles(&latencies));
    metrics.insert("loss".to_owned(), refused as f64);
    let generator = Generator {
        offered,
        sent: offered - refused,
        refused,
        late_p99_ns: drive.lateness.value_at_quantile(0.99),
        little_residual: match load.arrivals {
            Arrivals::Poisson if steady(&load) => queued.residual(rate * latencies.mean() / 1e9),
            _ => 0.0,
        },
        drain_ns: last.elapsed().as_nanos() as u64,
    };
    Ok(Answer {
        metrics,
        windows: if steady(&load) {
            windows.rates
        } else {
            Vec::new()
        },
        generator: Some(generator),
        latencies: events::counts(&latencies),
        timeline: timeline.with(&delivered),
        passages: traces.passages(rate, request.workers.unwrap_or(1)),
        ..Answer::default()
    })
}

/// The plan: the first phase's rate while it warms up, then the load.
fn times(load: &Load, request: &Request) -> Result<Vec<u64>, String> {
    let warm = request.warmup_ms * 1_000_000;
    let times = plan(&load.arrivals, &load.phases, request.seed)?;
    if times.is_empty() {
        return Err("the load has no items".to_owned());
    }
    let rate = times.len() as f64 * 1e9 / times[times.len() - 1].max(1) as f64;
    let before = [Phase::Steady {
        rate,
        during_ms: request.warmup_ms,
    }];
    let mut all = plan(&Arrivals::Poisson, &before, !request.seed)?;
    all.extend(times.iter().map(|at| warm + at));
    Ok(all)
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
    /// So many are done now.
    fn see(&mut self, done: u64) {
        let now = Instant::now();
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
