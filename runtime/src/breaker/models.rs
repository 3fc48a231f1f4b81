//! loom models of the control word: permits, generations, and that nobody is stuck.

use std::time::Duration;

use loom::{sync::Arc, thread};

use super::{Breaker, BreakerBuilder, Class, Clock, Hand, State};
use crate::loom_models::check;

const OPEN: Duration = Duration::from_millis(10);

/// Opens by one failure, for `OPEN`; closes by so many probes.
fn numbers(probes: u32) -> BreakerBuilder {
    let builder = Breaker::builder()
        .min_items(1)
        .probes(probes)
        .probe_concurrency(2);
    builder.open(OPEN).open_jitter_pct(0).ramp(Duration::ZERO)
}

fn breaker(probes: u32) -> (Arc<Breaker>, Hand) {
    let (clock, hand) = Clock::manual();
    let breaker = numbers(probes).clock(clock).build();
    (Arc::new(breaker.expect("numbers in their ranges")), hand)
}

fn open(breaker: &Breaker) {
    breaker.admit().expect("closed").failed(Class::Dependency);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn loom_breaker_of_two_that_come_when_it_was_open_for_long_enough_one_gets_the_only_permit() {
    check(2, || {
        let (breaker, hand) = breaker(1);
        open(&breaker);
        hand.advance(OPEN);
        let other = Arc::clone(&breaker);
        let caller = thread::spawn(move || other.admit().map(std::mem::forget).is_ok());
        let own = breaker.admit().map(std::mem::forget).is_ok();
        let both = [own, caller.join().unwrap()];
        assert_eq!(both.iter().filter(|admitted| **admitted).count(), 1);
        assert_eq!(breaker.metrics().probes, 1);
    });
}

#[test]
fn loom_breaker_a_result_that_is_late_never_changes_the_state() {
    check(2, || {
        let (breaker, hand) = breaker(1);
        let stale = breaker.admit().expect("closed");
        open(&breaker);
        hand.advance(OPEN);
        let other = Arc::clone(&breaker);
        let caller = thread::spawn(move || {
            let _ = other.admit().map(|probe| probe.passed());
        });
        stale.failed(Class::Dependency);
        caller.join().unwrap();
        // The probe passed or was not admitted; the failure of before is late in either case.
        assert_eq!(breaker.metrics().late, 1);
    });
}

#[test]
fn loom_breaker_two_probes_close_it_or_open_it_again_once() {
    check(2, || {
        let (breaker, hand) = breaker(2);
        open(&breaker);
        hand.advance(OPEN);
        let first = breaker.admit().expect("the first probe");
        let other = Arc::clone(&breaker);
        let caller = thread::spawn(move || {
            if let Ok(second) = other.admit() {
                second.passed();
                return true;
            }
            false
        });
        first.passed();
        let second = caller.join().unwrap();
        let (state, changes) = (breaker.state(), breaker.metrics().changes);
        match second {
            true => assert_eq!((state, changes), (State::Closed, 3)),
            false => assert_eq!((state, changes), (State::HalfOpen, 2)),
        }
    });
}

#[test]
fn loom_breaker_a_probe_counts_by_the_numbers_that_it_was_admitted_under_or_not_at_all() {
    check(2, || {
        let (breaker, hand) = breaker(1);
        open(&breaker);
        hand.advance(OPEN);
        let other = Arc::clone(&breaker);
        let caller = thread::spawn(move || other.admit().map(|probe| probe.passed()).is_ok());
        breaker
            .retune(&numbers(2))
            .expect("numbers in their ranges");
        let admitted = caller.join().unwrap();
        let (state, late) = (breaker.state(), breaker.metrics().late);
        // Admitted before, it closes the breaker, or is late; admitted behind, it is one of two.
        let expected = matches!(
            (admitted, state, late),
            (true, State::Closed, 0) | (true, State::HalfOpen, 0 | 1) | (false, State::Open, 0)
        );
        assert!(expected, "{admitted} {state} {late}");
    });
}

#[test]
fn loom_breaker_of_two_that_open_it_one_does() {
    check(2, || {
        let (breaker, _hand) = breaker(1);
        let (one, two) = (breaker.admit().expect("closed"), Arc::clone(&breaker));
        let caller = thread::spawn(move || {
            if let Ok(other) = two.admit() {
                other.failed(Class::Dependency);
            }
        });
        one.failed(Class::Dependency);
        caller.join().unwrap();
        assert_eq!(
            (breaker.state(), breaker.metrics().changes),
            (State::Open, 1)
        );
    });
}

#[test]
fn loom_breaker_a_call_that_has_returned_is_not_overdue_and_one_that_has_not_is_counted_once() {
    check(2, || {
        let (clock, hand) = Clock::manual();
        let builder = Breaker::builder()
            .min_items(100)
            .slow(super::Slow::Fixed(OPEN / 10));
        let builder = builder.slow_pct(100).clock(clock).build();
        let breaker = Arc::new(builder.expect("numbers in their ranges"));
        let hanging = breaker.admit().expect("closed");
        let other = Arc::clone(&breaker);
        let caller = thread::spawn(move || {
            // Quick calls take places and give them back.
            for _ in 0..2 {
                let _ = other.admit().map(|ticket| ticket.passed());
            }
        });
        hand.advance(OPEN);
        let seen = breaker.metrics().overdue;
        assert!(
            (1..=2).contains(&seen),
            "one hangs, and one may have begun before the time went on"
        );
        caller.join().unwrap();
        assert_eq!(breaker.metrics().overdue, 1);
        drop(hanging);
        assert_eq!(breaker.metrics().overdue, 0);
    });
}
