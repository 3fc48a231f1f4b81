//! What the machine can do: memory bandwidth, single operations, and a wake-up across cores.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use pipewright_peers_raw::system::{futex_wait, futex_wake, getppid, time_stamp};

use crate::harness::{
    Contender, Sample, Scale, same, stats,
    threads::{joined, on_core, on_two_cores, pin},
};

/// STREAM's triad: `a = b + 3 c`.
pub(crate) fn triad(scale: Scale) -> Vec<Contender> {
    let words = scale.of(8 << 20, 8 << 10);
    let run = move |threads: usize| {
        let mut tables = Tables::new(words, threads);
        move || tables.sample()
    };
    vec![
        Contender::limit("1 thread", run(1)),
        Contender::limit("2 threads", run(2)),
    ]
}

/// The three vectors, in parts: one for each thread.
struct Tables(Vec<[Vec<f64>; 3]>);

impl Tables {
    fn new(words: usize, threads: usize) -> Self {
        let part = |value| vec![value; words / threads];
        Self(
            (0..threads)
                .map(|_| [part(0.0), part(1.0), part(2.0)])
                .collect(),
        )
    }

    /// GB/s: 24 bytes for each element, as STREAM counts.
    fn sample(&mut self) -> Result<Sample, String> {
        let start = Barrier::new(self.0.len());
        let run = |core: usize, [a, b, c]: &mut [Vec<f64>; 3]| {
            pin(core);
            start.wait();
            let begun = Instant::now();
            for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                *a = *b + 3.0 * *c;
            }
            black_box(&*a);
            begun.elapsed()
        };
        let run = &run;
        let times: Vec<Duration> = thread::scope(|scope| {
            let parts = self.0.iter_mut().enumerate();
            let threads: Vec<_> = parts
                .map(|(core, part)| scope.spawn(move || run(core, part)))
                .collect();
            threads.into_iter().map(joined).collect()
        });
        let sums = self.0.iter().flat_map(|[a, _, _]| a);
        same(
            &sums.fold((0, 0.0), |(n, sum), a| (n + 1, sum + a)),
            &(self.words(), 7.0 * self.words() as f64),
        )?;
        let slowest = times.into_iter().max().unwrap_or_default();
        Ok(vec![
            24.0 * self.words() as f64 / slowest.as_secs_f64() / 1e9,
        ])
    }

    fn words(&self) -> usize {
        self.0.iter().map(|[a, _, _]| a.len()).sum()
    }
}

/// The cost of one call.
pub(crate) fn ops(scale: Scale) -> Vec<Contender> {
    let calls = move |full: u64| scale.of(full, 100);
    let each = move |name, full: u64, call: fn()| {
        let count = calls(full);
        let repeat = move || (0..count).for_each(|_| call());
        Contender::limit(name, move || scale.nanos(count, &(), || on_core(0, repeat)))
    };
    let contended = move |name, apart: bool| {
        let count = calls(1_000_000);
        Contender::limit(name, move || adds(count, apart))
    };
    vec![
        each("uncontended fetch_add", 1_000_000, || {
            static WORD: AtomicU64 = AtomicU64::new(0);
            WORD.fetch_add(1, Relaxed);
        }),
        contended("fetch_add, 2 threads, one line", false),
        contended("fetch_add, 2 threads, two lines", true),
        each("rdtsc", 1_000_000, || {
            black_box(time_stamp());
        }),
        each("Instant::now", 1_000_000, || {
            black_box(Instant::now());
        }),
        each("getppid syscall", 300_000, || {
            black_box(getppid());
        }),
        each("sched_yield, alone", 100_000, thread::yield_now),
        each("thread spawn + join", 1_000, || {
            thread::scope(|scope| joined(scope.spawn(|| ())))
        }),
    ]
}

fn adds(count: u64, apart: bool) -> Result<Sample, String> {
    let words = [(); 2].map(|()| CachePadded::new(AtomicU64::new(0)));
    let add = |word: &AtomicU64| {
        (0..count).for_each(|_| {
            word.fetch_add(1, Relaxed);
        })
    };
    let second = &words[usize::from(apart)];
    let ((), (), time) = on_two_cores(|| add(&words[0]), || add(second));
    same(
        &words.iter().map(|word| word.load(Relaxed)).sum(),
        &(2 * count),
    )?;
    Ok(vec![time.as_secs_f64() * 1e9 / count as f64])
}

/// A wake-up on core 0 until the sleeper runs on core 1, after sleeps of several lengths.
pub(crate) fn futex(scale: Scale) -> Vec<Contender> {
    let wakes = scale.of(2000, 20);
    let slept = move |name, micros| {
        Contender::limit(name, move || wake_ups(wakes, Duration::from_micros(micros)))
    };
    vec![
        slept("sleeper slept 5 us", 5),
        slept("sleeper slept 50 us", 50),
        slept("sleeper slept 500 us", 500),
    ]
}

/// The word that the sleeper sleeps on: a wake-up's number, odd while it sleeps or is about to.
struct Bed {
    word: AtomicU32,
    /// When the last wake-up was seen, in nanoseconds since the start.
    woken: AtomicU64,
}

fn wake_ups(count: u32, sleep: Duration) -> Result<Sample, String> {
    let bed = Bed {
        word: AtomicU32::new(0),
        woken: AtomicU64::new(0),
    };
    let start = Instant::now();
    let now = || start.elapsed().as_nanos() as u64;
    let sleeper = || {
        for wake in 0..count {
            bed.word.store(2 * wake + 1, Release);
            while bed.word.load(Acquire) == 2 * wake + 1 {
                futex_wait(&bed.word, 2 * wake + 1);
            }
            bed.woken.store(now(), Release);
        }
    };
    let waker = || {
        let mut delays = stats::times()?;
        let mut calls = delays.clone();
        for wake in 0..count {
            while bed.word.load(Acquire) != 2 * wake + 1 {
                std::hint::spin_loop();
            }
            let asleep = Instant::now();
            while asleep.elapsed() < sleep {
                std::hint::spin_loop();
            }
            let before = bed.woken.load(Acquire);
            let begun = now();
            bed.word.store(2 * wake + 2, Release);
            futex_wake(&bed.word);
            let called = now();
            let mut woken = before;
            while woken == before {
                woken = bed.woken.load(Acquire);
            }
            delays.saturating_record(woken.saturating_sub(begun));
            calls.saturating_record(called - begun);
        }
        Ok::<_, String>((delays, calls))
    };
    let (measured, (), _) = on_two_cores(waker, sleeper);
    let (delays, calls) = measured?;
    same(&delays.len(), &u64::from(count))?;
    let micros = |histogram: &Histogram<u64>, part| histogram.value_at_quantile(part) as f64 / 1e3;
    Ok(vec![
        micros(&delays, 0.5),
        micros(&delays, 0.99),
        micros(&delays, 0.999),
        micros(&calls, 0.5),
    ])
}
