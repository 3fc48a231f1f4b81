//! Single items: how long they wait until a stage has them.

use std::{
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use pipewright::{Priority, Running};

use super::{
    Plan, Reading, clock_ns,
    pipelines::{Arrival, Busy, Latencies, Sparse, arriving, lingering, urgent},
    quantiles,
};
use crate::{links::answering, load::rounds_of, tasks::Done};

/// A worker looks for work for as long as a wake-up takes, then it sleeps; it needs some time to fall asleep.
fn asleep() {
    thread::sleep(Duration::from_millis(2));
}

/// It has reported the last item and needs a moment to come back to its input.
fn looking() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(5) {
        std::hint::spin_loop();
    }
}

pub(super) fn wake(plan: &Plan) -> Vec<Reading> {
    vec![
        Reading::new(
            "B12.asleep",
            plan.rounds(|| latency(plan.n(200), asleep) / 1e3),
        ),
        Reading::new(
            "B12.looking",
            plan.rounds(|| latency(plan.n(20_000), looking) / 1e3),
        ),
    ]
}

/// The median time from sending an item until the stage has it, in nanoseconds.
fn latency(n: u64, pause: impl Fn()) -> f64 {
    let arrival = Arrival::new();
    let pipeline = arriving::pipeline().workers(1);
    let run = pipeline.start(arrival.clone()).expect("the worker starts");
    let mut times = Vec::with_capacity(n as usize);
    for _ in 0..n {
        pause();
        let sent = arrival.now();
        run.send(()).expect("the pipeline runs");
        times.push(arrival.wait().saturating_sub(sent) as f64);
    }
    let _ = run.drain().expect("nothing fails");
    (quantiles(times, [0.5])[0] - clock_ns()).max(0.0)
}

pub(super) fn call(plan: &Plan) -> Vec<Reading> {
    type Run = Running<answering::Pipeline>;
    let blocking = |run: &Run, n| run.call(n).expect("it is answered");
    let polled = |run: &Run, n| {
        let mut call = pin!(run.call_async(n));
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(answer) = call.as_mut().poll(&mut cx) {
                return answer.expect("it is answered");
            }
            std::hint::spin_loop();
        }
    };
    let once = |n: u64, pause: fn(), call: &dyn Fn(&Run, u64) -> u64| {
        let pipeline = answering::pipeline().workers(1);
        let run = pipeline.start(()).expect("the worker starts");
        let mut times = Vec::with_capacity(n as usize);
        for n in 0..n {
            pause();
            let begun = Instant::now();
            let answer = call(&run, n);
            times.push(begun.elapsed().as_secs_f64() * 1e9);
            assert_eq!(answer, n + 1);
        }
        let _ = run.drain().expect("nothing fails");
        (quantiles(times, [0.5])[0] - clock_ns()).max(0.0) / 1e3
    };
    let (few, many) = (plan.n(200), plan.n(20_000));
    let row = |key, n, pause: fn(), call: &dyn Fn(&Run, u64) -> u64| {
        Reading::new(key, plan.rounds(|| once(n, pause, call)))
    };
    vec![
        row("B13.worker", many, looking, &blocking),
        row("B13.asleep", few, asleep, &blocking),
        row("B13.async", many, looking, &polled),
    ]
}

pub(super) fn urgent(plan: &Plan) -> Vec<Reading> {
    let rounds = rounds_of(Duration::from_micros(1));
    let once = || {
        let busy = Busy {
            rounds,
            ..Busy::default()
        };
        let pipeline = urgent::pipeline().workers(2);
        let run = pipeline.start(busy.clone()).expect("the workers start");
        // Until both work.
        thread::sleep(Duration::from_millis(20));
        for _ in 0..plan.n(1000) {
            thread::sleep(Duration::from_micros(300));
            run.send_at(Priority::Critical, Instant::now())
                .expect("the pipeline runs");
        }
        busy.over.store(true, Ordering::Relaxed);
        let _ = run.drain().expect("nothing fails");
        quantiles(busy.latencies.take(), [0.5, 0.99]).map(|time| time / 1e3)
    };
    let rounds = plan.rounds(once);
    vec![
        Reading::new("B14.p99", rounds.iter().map(|round| round[1]).collect()),
        Reading::new("B14.p50", rounds.iter().map(|round| round[0]).collect()),
    ]
}

pub(super) fn linger(plan: &Plan) -> Vec<Reading> {
    let rounds = rounds_of(Duration::from_micros(1));
    let once = || {
        let sparse = Sparse {
            latencies: Latencies::default(),
            count: plan.n(5000),
            rounds,
        };
        let pipeline = lingering::pipeline().workers(2);
        let run = pipeline.start(sparse.clone()).expect("the workers start");
        let _ = run.wait().expect("nothing fails");
        quantiles(sparse.latencies.take(), [0.999])[0] / 1e3
    };
    vec![Reading::new("B21", plan.rounds(once))]
}

pub(super) fn send(plan: &Plan) -> Vec<Reading> {
    let once = || {
        let done = Done::default();
        let pipeline = crate::tasks::sent::pipeline().workers(1);
        let run = pipeline.start(done.clone()).expect("the worker starts");
        let (n, clock) = (plan.n(200_000), clock_ns());
        let mut times = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let begun = Instant::now();
            run.send(0).expect("the pipeline runs");
            times.push((begun.elapsed().as_secs_f64() * 1e9 - clock).max(0.0));
        }
        done.wait(n);
        let _ = run.drain().expect("nothing fails");
        quantiles(times, [0.5, 0.99])
    };
    let rounds = plan.rounds(once);
    vec![
        Reading::new("send.p50", rounds.iter().map(|round| round[0]).collect()),
        Reading::new("send.p99", rounds.iter().map(|round| round[1]).collect()),
    ]
}
