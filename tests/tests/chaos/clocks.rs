//! Clocks that jump and stand still.

use std::time::Duration;

use pipewright::{
    breaker::{Breaker, Clock, Hand, Slow, State},
    rate::RateLimiter,
};
use pipewright_tests::{faults, oracle::Case};

const HOUR: Duration = Duration::from_secs(3_600);
const MS: Duration = Duration::from_millis(1);
/// The longest that the breaker below may be open, jitter included.
const OPEN_MAX: Duration = Duration::from_millis(4_400);
/// As long as probes may take.
const HALF_OPEN_MAX: Duration = Duration::from_secs(1);

#[test]
fn c9_clocks_that_jump_leave_no_breaker_open_and_no_rate_exceeded() {
    let case = Case::begin("C9");
    let mut random = case.random();
    let (clock, hand) = Clock::manual();
    hand.set(10_000 * HOUR);
    let breaker = Breaker::builder()
        .min_items(10)
        .slow(Slow::Fixed(100 * MS))
        .open(1_000 * MS)
        .open_max(4_000 * MS)
        .half_open_max(HALF_OPEN_MAX)
        .probes(3)
        .clock(clock.clone())
        .build()
        .unwrap();
    let limiter = RateLimiter::new(1_000, Duration::from_secs(1))
        .burst(10)
        .clock(clock.clone());
    let (jumps, mut opened, mut latest) = (faults(1_000), 0, clock.now());
    for jump in 0..jumps {
        // In any state: whom is called is up or down, and the breaker is where the last round left it.
        let is_up = random.below(2) == 0;
        for _ in 0..random.below(40) {
            let _ = breaker.call(|| if is_up { Ok(()) } else { Err(()) });
            hand.advance(Duration::from_nanos(random.below(1_000_000)));
        }
        let before = clock.now();
        let slow = breaker.metrics().slow;
        let kind = random.below(4);
        // In the middle of a call.
        let _ = breaker.call(|| {
            match kind {
                0 => hand.set(before.saturating_sub(HOUR)),
                1 => hand.set(before + HOUR),
                2 => {}
                _ => hand.set(before + Duration::from_nanos(1)),
            }
            if is_up { Ok(()) } else { Err(()) }
        });
        let metrics = breaker.metrics();
        // Time that went back, or not on, is no time that the call took.
        let slower = u64::from(kind == 1);
        assert!(
            metrics.slow - slow <= slower,
            "a call took less than no time"
        );
        assert!(metrics.slow + metrics.late <= metrics.passed + metrics.failed + metrics.late);
        assert_eq!(metrics.overdue, 0);
        assert!(
            breaker.retry_after() <= OPEN_MAX,
            "it waits for {:?}",
            breaker.retry_after()
        );
        opened += u64::from(breaker.state() == State::Open);
        latest = latest.max(clock.now());
        check_rate(&limiter, &hand, clock.now() == latest);
        // Whom is called is up again: it must be closed soon.
        let back = clock.now() + 2 * (OPEN_MAX + HALF_OPEN_MAX) + Duration::from_secs(1);
        while breaker.state() != State::Closed {
            assert!(
                clock.now() < back,
                "jump {jump}: it is stuck {}",
                breaker.state()
            );
            hand.advance(50 * MS);
            let _ = breaker.call(|| Ok::<_, ()>(()));
        }
    }
    println!("C9: {jumps} jumps, {opened} of them while it was open, none stuck");
    assert!(opened > 0);
    case.end();
}

/// Whatever the clock did, no more is taken than a burst. Where it is later than ever, whoever waits for as long as it says gets on;
/// else the limit waits for the time at which it was used before.
fn check_rate(limiter: &RateLimiter, hand: &Hand, is_latest: bool) {
    let mut taken = 0;
    while let Ok(some) = limiter.try_take_up_to(64) {
        taken += some;
    }
    assert!(taken <= 10, "{taken} at once");
    if is_latest {
        let late = limiter.try_take(1).unwrap_err();
        assert!(late.retry_after <= MS, "{late:?}");
        hand.advance(late.retry_after);
        limiter.try_take(1).unwrap();
    }
}
