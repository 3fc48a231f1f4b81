//! Stages with threads of their own, between stages of the pool, however they wait.

use pipewright::{Blueprint, Builder, pipeline};

use crate::harness::{Seen, any, balanced, check, ended, pause, slow, start, uneven};

const ITEMS: u64 = 32;

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod chain {
    use super::*;

    #[stage(from = input, queue = 8)]
    pub fn before(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = before, cores = "0")]
    pub fn even(n: &u64) -> bool {
        n.is_multiple_of(2)
    }

    #[stage(from = even, cores = "1")]
    pub fn counted(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = counted)]
    pub fn after(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = after)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

/// Lets the stages wait in some way.
fn waiting<P: Blueprint>(builder: Builder<P>, stages: [&str; 2]) -> Builder<P> {
    let wait = ["spin", "adaptive", "park"][any(3) as usize];
    let [first, second] = stages;
    let tuning =
        format!("( stages: {{ \"{first}\": (wait: {wait}), \"{second}\": (wait: {wait}) }} )");
    builder.tuning("wait.ron", &tuning).unwrap()
}

#[test]
fn items_go_through_pinned_stages_and_back_in_order() {
    check(|| {
        let seen = Seen::new();
        let run = start(
            waiting(chain::pipeline(), ["even", "counted"]),
            seen.clone(),
        );
        run.send_all(0..ITEMS).unwrap();
        let mut report = ended(run.drain());
        assert!(
            seen.take().into_iter().eq((0..ITEMS).step_by(2)),
            "{report}"
        );
        assert_eq!(report.take_state::<chain::counted>(), Some(ITEMS / 2));
    });
}

#[test]
fn pinned_stages_stop_and_count_what_they_drop() {
    check(|| {
        let seen = Seen::new();
        let run = start(
            waiting(chain::pipeline(), ["even", "counted"]),
            seen.clone(),
        );
        let input = run.input();
        let sender = shuttle::thread::spawn(move || {
            (0..ITEMS).take_while(|n| input.send(*n).is_ok()).count()
        });
        pause(300);
        let report = run.stop().unwrap();
        balanced(&report);
        assert_eq!(
            report.ledger().received,
            sender.join().unwrap() as u64,
            "{report}"
        );
        assert_eq!(
            report.ledger().delivered,
            seen.take().len() as u64,
            "{report}"
        );
    });
}

/// Nothing for the pool: a source and a sink, and a ring between them.
#[pipeline(env = Seen<u64>)]
mod ring {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[sink(from = numbers, cores = "1", queue = 8)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_ring_between_pinned_threads_loses_nothing() {
    check(|| {
        let seen = Seen::new();
        let report =
            ended(start(waiting(ring::pipeline(), ["numbers", "last"]), seen.clone()).wait());
        assert_eq!(seen.take(), (0..ITEMS).collect::<Vec<_>>(), "{report}");
    });
}

/// A source that is much faster than the pool behind it, so that it waits for tickets.
#[pipeline(env = Seen<u64>, quantum = "1us")]
mod fed {
    use super::*;

    #[source(cores = "0", batch = 1)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..2 * ITEMS
    }

    #[stage(from = numbers, order = any)]
    pub fn work(n: u64) -> u64 {
        slow(n)
    }

    #[sink(from = work)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_pinned_source_goes_on_when_the_pool_gives_tickets_back() {
    check(|| {
        let seen = Seen::new();
        let wait = ["spin", "adaptive", "park"][any(3) as usize];
        let tuning = format!("( stages: {{ \"numbers\": (wait: {wait}) }} )");
        let builder = fed::pipeline().tuning("wait.ron", &tuning).unwrap();
        let report = ended(start(builder, seen.clone()).wait());
        let mut items = seen.take();
        items.sort_unstable();
        assert_eq!(items, (0..2 * ITEMS).collect::<Vec<_>>(), "{report}");
    });
}
