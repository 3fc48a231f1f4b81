//! A threshold of slow calls that follows how long calls take, against a model that goes over each bucket in turn; and numbers of
//! breakers that change.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use pipewright::breaker::{
    Breaker, BreakerBuilder, Class, Clock, Hand, Outcome, Reason, Slow, State, Window,
};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);
/// Ten of them are the window.
const BUCKET: Duration = SEC;
const WARMUP: u64 = 200;
const FLOOR: f64 = 50e3;
const CEIL: f64 = 1e9;

fn breaker(change: impl FnOnce(BreakerBuilder) -> BreakerBuilder) -> (Breaker, Hand) {
    let (clock, hand) = Clock::manual();
    let builder = Breaker::builder()
        .window(Window::Time(10 * BUCKET))
        .min_items(1 << 20)
        .open_jitter_pct(0)
        .ramp(Duration::ZERO)
        .slow(Slow::Adaptive {
            factor_x100: 300,
            floor: Duration::from_nanos(FLOOR as u64),
            ceil: Duration::from_nanos(CEIL as u64),
            warmup_items: WARMUP as u32,
        })
        .clock(clock);
    (change(builder).build().unwrap(), hand)
}

/// As the breaker does it, one bucket after the other.
#[derive(Default)]
struct Model {
    bucket: Vec<(u64, u64)>,
    failed: u64,
    slow: u64,
    began: u64,
    baseline: f64,
    seen: u64,
}

impl Model {
    fn threshold(&self) -> u64 {
        if self.seen < WARMUP {
            return CEIL as u64;
        }
        (self.baseline * 3.0).clamp(FLOOR, CEIL) as u64
    }

    fn record(&mut self, now: u64, each: u64, calls: u64, failed: u64) {
        self.slow += if each > self.threshold() { calls } else { 0 };
        self.bucket.push((each, calls));
        self.failed += failed;
        let elapsed = now - self.began;
        if elapsed < BUCKET.as_nanos() as u64 {
            return;
        }
        self.began = now;
        let (mut bucket, failed, slow) = (
            std::mem::take(&mut self.bucket),
            std::mem::take(&mut self.failed),
            std::mem::take(&mut self.slow),
        );
        let total: u64 = bucket.iter().map(|(_, calls)| calls).sum();
        if slow * 100 * 2 >= 80 * total || failed * 100 * 2 >= 50 * total {
            return;
        }
        bucket.sort_unstable();
        let mut below = 0;
        let median = bucket.iter().find(|(_, calls)| {
            below += calls;
            below * 2 >= total
        });
        let median = median.unwrap().0 as f64;
        if self.seen < WARMUP {
            let (seen, calls) = (self.seen as f64, total as f64);
            self.baseline = (self.baseline * seen + median * calls) / (seen + calls);
        } else if median < self.baseline / 2.0 {
            self.baseline *= 0.9;
        } else {
            let minutes = (elapsed as f64 / 60e9).min(1.0);
            let half = 0.5f64.powf(minutes);
            let next = self.baseline * half + median * (1.0 - half);
            self.baseline = next.min(self.baseline * (1.0 + 0.1 * minutes));
        }
        self.seen += total;
    }
}

/// Durations that the histogram has exactly.
fn duration() -> impl Strategy<Value = u64> {
    (8..16u64, 10..22u32).prop_map(|(part, octave)| part << octave | 1 << (octave - 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_threshold_follows_the_calls_as_its_model_says(
        steps in prop::collection::vec((duration(), 1..64u32, 0..4u32, 0..3000u64), 1..200),
    ) {
        let (breaker, hand) = breaker(|builder| builder);
        let mut model = Model::default();
        let mut now = 0;
        for (each, calls, failed, pause) in steps {
            let failed = failed.min(calls);
            let ticket = breaker.admit_up_to(calls).unwrap();
            hand.advance(Duration::from_nanos(each * u64::from(calls)));
            now += each * u64::from(calls);
            ticket.settle(Outcome {
                passed: calls - failed,
                failed,
                slow: 0,
            });
            model.record(now, each, calls.into(), failed.into());
            let seen = breaker.metrics().slow_after.unwrap().as_nanos() as u64;
            prop_assert!(seen.abs_diff(model.threshold()) <= 1, "{seen} {}", model.threshold());
            prop_assert_eq!(breaker.state(), State::Closed);
            hand.advance(Duration::from_millis(pause));
            now += pause * 1_000_000;
        }
    }
}

/// So many calls pass, each after that time, over as many buckets.
fn pass(breaker: &Breaker, hand: &Hand, buckets: u32, each: Duration) {
    for _ in 0..buckets * 10 {
        let ticket = breaker.admit().unwrap();
        hand.advance(each);
        ticket.passed();
        hand.advance(BUCKET / 10);
    }
}

fn slow_after(breaker: &Breaker) -> Duration {
    breaker.metrics().slow_after.unwrap()
}

#[test]
fn calls_that_become_much_slower_open_it_and_those_that_creep_are_not_followed() {
    let (breaker, hand) = breaker(|builder| builder.min_items(20).slow_pct(80));
    pass(&breaker, &hand, 30, 10 * MS);
    let usual = slow_after(&breaker);
    assert!((25 * MS..=35 * MS).contains(&usual), "{usual:?}");
    // Four minutes in which calls take a fifth more every minute: the threshold rises by a tenth a minute at most.
    let (mut each, mut minutes) = (10 * MS, 0.1);
    for _ in 0..4 {
        each = each * 12 / 10;
        pass(&breaker, &hand, 60, each);
        minutes += (BUCKET + 10 * each).as_secs_f64();
        // In each bucket by its part of a tenth.
        let most = usual.mul_f64(1.106f64.powf(minutes));
        assert!(slow_after(&breaker) <= most, "{:?}", slow_after(&breaker));
    }
    assert_eq!(breaker.state(), State::Closed);
    // And now they hang.
    while breaker.state() == State::Closed {
        let ticket = breaker.admit().unwrap();
        hand.advance(200 * MS);
        ticket.passed();
    }
    let event = breaker.events().last().unwrap();
    assert_eq!((event.to, event.reason), (State::Open, Reason::SlowRate));
}

#[test]
fn a_threshold_that_is_much_too_high_falls() {
    let (breaker, hand) = breaker(|builder| builder);
    pass(&breaker, &hand, 30, 100 * MS);
    let before = slow_after(&breaker);
    pass(&breaker, &hand, 1, MS);
    pass(&breaker, &hand, 10, MS);
    let after = slow_after(&breaker);
    assert!(after < before.mul_f64(0.45), "{before:?} {after:?}");
    // With few calls it is the highest.
    let (breaker, hand) = self::breaker(|builder| builder);
    pass(&breaker, &hand, 10, MS);
    assert_eq!(slow_after(&breaker), Duration::from_nanos(CEIL as u64));
}

#[test]
fn buckets_in_which_calls_fare_badly_do_not_move_it() {
    let (breaker, hand) = breaker(|builder| builder);
    pass(&breaker, &hand, 30, 10 * MS);
    let before = slow_after(&breaker);
    // The first of them ends a bucket that was well.
    for _ in 0..100 {
        let ticket = breaker.admit_up_to(10).unwrap();
        hand.advance(100 * MS);
        ticket.settle(Outcome {
            passed: 7,
            failed: 3,
            slow: 0,
        });
    }
    let after = slow_after(&breaker);
    assert!(after.abs_diff(before) < MS, "{before:?} {after:?}");
}

fn fail(breaker: &Breaker, times: u32) {
    (0..times).for_each(|_| breaker.admit().unwrap().failed(Class::Dependency));
}

#[test]
fn numbers_change_all_together_or_not_at_all_and_the_state_begins_anew() {
    let (clock, hand) = Clock::manual();
    let numbers = |open: Duration| {
        Breaker::builder()
            .min_items(10)
            .open(open)
            .open_max(60 * SEC)
            .open_jitter_pct(0)
            .ramp(Duration::ZERO)
            .probes(2)
            .probe_concurrency(2)
    };
    let breaker = numbers(10 * SEC).clock(clock).build().unwrap();
    fail(&breaker, 9);
    let wrong = breaker
        .retune(&numbers(SEC).min_items(2).failure_pct(101))
        .unwrap_err();
    assert_eq!(wrong.field, "failure_pct");
    let wrong = breaker
        .retune(&numbers(SEC).slow(Slow::Fixed(MS)))
        .unwrap_err();
    assert_eq!(wrong.field, "slow");
    assert_eq!(
        (breaker.state(), breaker.metrics().changes),
        (State::Closed, 0)
    );

    // What was counted under other numbers is forgotten, and what was admitted under them is late.
    let stale = breaker.admit().unwrap();
    breaker.retune(&numbers(10 * SEC).min_items(5)).unwrap();
    stale.failed(Class::Dependency);
    assert_eq!(
        (breaker.state(), breaker.metrics().late),
        (State::Closed, 1)
    );
    fail(&breaker, 5);
    assert_eq!(breaker.state(), State::Open);

    // Open, it stays no longer than it would with the new numbers, and never longer than before.
    hand.advance(SEC);
    breaker.retune(&numbers(60 * SEC)).unwrap();
    assert_eq!(breaker.retry_after(), 9 * SEC);
    breaker.retune(&numbers(3 * SEC)).unwrap();
    assert_eq!(breaker.retry_after(), 2 * SEC);
    hand.advance(2 * SEC);

    // Half open, it begins to try again.
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.retune(&numbers(3 * SEC).probes(1)).unwrap();
    probe.failed(Class::Dependency);
    assert_eq!(
        (breaker.state(), breaker.metrics().late),
        (State::HalfOpen, 2)
    );
    breaker.admit().unwrap().passed();
    assert_eq!(breaker.state(), State::Closed);
    let retuned = breaker
        .events()
        .filter(|event| event.reason == Reason::Retuned);
    assert_eq!(retuned.count(), 4);
}

#[test]
fn a_window_of_time_can_become_one_of_calls_and_back() {
    let (clock, hand) = Clock::manual();
    let numbers = || Breaker::builder().min_items(10).ramp(Duration::ZERO);
    let breaker = numbers().clock(clock).build().unwrap();
    hand.advance(1_000_000 * SEC);
    for window in [
        Window::Count(100),
        Window::Time(100 * MS),
        Window::Count(10),
        Window::Time(3_600 * SEC),
    ] {
        breaker.retune(&numbers().window(window)).unwrap();
        fail(&breaker, 9);
        assert_eq!(breaker.state(), State::Closed, "{window:?}");
        fail(&breaker, 1);
        assert_eq!(breaker.state(), State::Open, "{window:?}");
        breaker.release();
        hand.advance(SEC);
    }
}

#[test]
fn calls_of_a_thread_that_does_not_come_back_are_counted_when_the_state_has_changed() {
    let breaker = Breaker::builder().build().unwrap();
    for calls in [1, 2, 3, 50, 1_000] {
        let before = breaker.metrics();
        std::thread::scope(|scope| {
            let calls = || (0..calls).filter(|_| breaker.call(|| Ok::<(), ()>(())).is_ok());
            scope.spawn(move || calls().count());
        });
        breaker.retune(&Breaker::builder()).unwrap();
        let seen = breaker.metrics();
        let counted = seen.passed + seen.late - before.passed - before.late;
        assert_eq!(counted, calls, "{seen:?}");
    }
}

#[test]
fn while_numbers_change_nothing_is_admitted_that_should_not_be() {
    let numbers = |probes| {
        Breaker::builder()
            .min_items(10)
            .probes(probes)
            .ramp(Duration::ZERO)
    };
    let breaker = numbers(1).build().unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    (0..20_000)
                        .filter(|_| breaker.call(|| Ok::<(), ()>(())).is_ok())
                        .count() as u64
                })
            })
            .collect();
        for n in 0..500 {
            breaker.retune(&numbers(n % 5 + 1)).unwrap();
        }
        let passed: u64 = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum();
        let seen = breaker.metrics();
        assert_eq!((seen.passed + seen.late, seen.failed), (passed, 0));
        assert_eq!(
            (passed + seen.refused, breaker.state()),
            (40_000, State::Closed)
        );
    });
}
