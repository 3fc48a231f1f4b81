//! What the machine itself costs, before anything else is judged.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Plan, Reading, nanoseconds, quantiles};

/// All of it.
pub(super) fn all(plan: &Plan) -> Vec<Reading> {
    let word = AtomicU64::new(0);
    let n = plan.n(1_000_000);
    let rmw = plan.each(n, |n| {
        timed(|| {
            for _ in 0..n {
                black_box(word.fetch_add(1, Ordering::Relaxed));
            }
        })
    });
    let fences = plan.each(n, |n| {
        timed(|| {
            for n in 0..n {
                // A fence orders something.
                word.store(black_box(n), Ordering::Relaxed);
                fence(Ordering::SeqCst);
            }
        })
    });
    let lines = plan.each(plan.n(200_000), |n| ping_pong(n) / 2);
    let naps = plan.rounds(|| naps(plan.n(100)));
    vec![
        Reading::new("B0.rmw", rmw),
        Reading::new("B0.fence", fences),
        Reading::new("B0.clock", plan.rounds(clock_ns)),
        Reading::new("B0.line", lines),
        Reading::new("B0.waker", naps.iter().map(|nap| nap[0] / 1e3).collect()),
        Reading::new("B0.wake", naps.iter().map(|nap| nap[1] / 1e3).collect()),
        Reading::new("B0.memcpy", plan.each(plan.n(100_000), memcpy)),
    ]
}

/// What reading the clock takes, in nanoseconds: what is measured with two readings is longer by one.
pub fn clock_ns() -> f64 {
    const READINGS: u32 = 20_000;
    let time = timed(|| {
        for _ in 0..READINGS {
            black_box(Instant::now());
        }
    });
    nanoseconds(time) / f64::from(READINGS)
}

fn timed<R>(work: impl FnOnce() -> R) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn memcpy(n: u64) -> Duration {
    let (from, mut to) = (vec![1u8; 16 << 10], vec![0u8; 16 << 10]);
    timed(|| (0..n).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from))))
}

/// Binds this thread to the `n`th cpu that it may use; without effect where the system does not allow it.
fn sit(n: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let _ = cores
        .get(n)
        .is_some_and(|core| core_affinity::set_for_current(*core));
}

/// A word goes to another core and comes back, `n` times.
fn ping_pong(n: u64) -> Duration {
    let (ball, ready) = (AtomicU64::new(0), Barrier::new(2));
    let play = |side: usize| {
        sit(side);
        ready.wait();
        let begun = Instant::now();
        for turn in 0..n {
            let mine = 2 * turn + side as u64;
            while ball.load(Ordering::Acquire) != mine {
                std::hint::spin_loop();
            }
            ball.store(mine + 1, Ordering::Release);
        }
        begun.elapsed()
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| play(1));
        let time = scope.spawn(|| play(0)).join();
        other.join().expect("it only counts");
        time.expect("it only counts")
    })
}

/// Medians of what waking takes the waker, and until the sleeper runs, in nanoseconds.
fn naps(n: u64) -> [f64; 2] {
    let (epoch, go, over) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
    let awake = AtomicU64::new(0);
    let since = |epoch: Instant| epoch.elapsed().as_nanos() as u64;
    let (mut wakers, mut wakes) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            sit(1);
            let mut seen = 0;
            while !over.load(Ordering::Acquire) {
                thread::park();
                let round = go.load(Ordering::Acquire);
                if round > seen {
                    seen = round;
                    awake.store(since(epoch), Ordering::Release);
                }
            }
        });
        for round in 1..=n {
            // Long enough to fall asleep.
            thread::sleep(Duration::from_micros(300));
            awake.store(0, Ordering::Relaxed);
            go.store(round, Ordering::Release);
            let begun = since(epoch);
            sleeper.thread().unpark();
            wakers.push((since(epoch) - begun) as f64);
            let ran = loop {
                match awake.load(Ordering::Acquire) {
                    0 => std::hint::spin_loop(),
                    ran => break ran,
                }
            };
            wakes.push(ran.saturating_sub(begun) as f64);
        }
        over.store(true, Ordering::Release);
        sleeper.thread().unpark();
    });
    [quantiles(wakers, [0.5])[0], quantiles(wakes, [0.5])[0]]
}
