//! Circuit breakers that see calls while they are made: those that never return, and those that a stopped process left hanging.

use std::time::Duration;

use pipewright::breaker::{Breaker, BreakerBuilder, Clock, Hand, Reason, Slow, State};

/// A breaker whose clock stands still.
fn breaker(change: impl FnOnce(BreakerBuilder) -> BreakerBuilder) -> (Breaker, Hand) {
    let (clock, hand) = Clock::manual();
    let builder = change(Breaker::builder()).clock(clock);
    (builder.build().expect("numbers in their ranges"), hand)
}

fn call(breaker: &Breaker, passes: bool) -> bool {
    breaker
        .call(|| if passes { Ok(()) } else { Err(()) })
        .is_ok()
}

#[test]
fn b7_calls_that_do_not_return_are_slow_before_they_do() {
    let timed = |builder: BreakerBuilder| {
        let slow = Slow::Fixed(Duration::from_millis(100));
        builder.slow(slow).slow_pct(50).min_items(10)
    };
    let (own, hand) = breaker(timed);
    for _ in 0..5 {
        assert!(call(&own, true));
    }
    let hanging = own.admit_up_to(5).expect("it is closed");
    let look = |expect: (State, u64)| {
        own.look();
        assert_eq!((own.state(), own.metrics().overdue), expect);
    };
    // A batch is slow when its calls have taken too long on average.
    hand.advance(Duration::from_millis(500));
    look((State::Closed, 0));
    hand.advance(Duration::from_millis(1));
    assert_eq!(own.metrics().overdue, 5);
    look((State::Open, 0));
    assert_eq!(
        own.events().last().map(|event| event.reason),
        Some(Reason::SlowRate)
    );
    // Of those that passed before, what this thread has not told yet is late, too.
    let before = own.metrics().late;
    hanging.passed();
    assert_eq!(own.metrics().late - before, 5);

    // So is one that hangs in the middle of others, seen by a thread that waits for nothing.
    let (own, hand) = breaker(timed);
    let result = own.call(|| {
        for _ in 0..9 {
            assert!(call(&own, true));
        }
        hand.advance(Duration::from_millis(101));
        assert_eq!(own.metrics().overdue, 1);
        Ok::<_, ()>(())
    });
    assert!(result.is_ok());
    assert_eq!((own.metrics().overdue, own.metrics().slow), (0, 1));
}

#[test]
fn calls_during_which_the_process_was_stopped_are_not_slow() {
    let ms = Duration::from_millis;
    let (own, hand) = breaker(|builder| {
        let slow = Slow::Fixed(ms(100));
        builder
            .slow(slow)
            .slow_pct(30)
            .min_items(10)
            .watched_every(ms(20))
    });
    let look_for = |time: u64| {
        for _ in 0..time / 20 {
            hand.advance(ms(20));
            own.look();
        }
    };
    // Back before anybody looks, and back after it.
    for looks_first in [false, true] {
        let before = own.admit_up_to(20).expect("it is closed");
        hand.advance(ms(5_000));
        if looks_first {
            own.look();
        }
        before.passed();
        own.look();
        assert_eq!((own.state(), own.metrics().slow), (State::Closed, 0));
    }
    // While somebody looks, what takes long is slow.
    let hanging = own.admit_up_to(20).expect("it is closed");
    look_for(2_500);
    assert_eq!(own.state(), State::Open);
    drop(hanging);
}
