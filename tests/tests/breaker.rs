//! Circuit breakers: each mistake that other breakers are known for, as a promise not to make it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use pipewright::breaker::{
    Breaker, BreakerBuilder, CallError, Class, Clock, Hand, Outcome, Reason, Slow, State, Window,
};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

/// A breaker on a clock that stands still: of ten calls, half must fail; it is open for 1 s, without jitter and ramp.
fn breaker(change: impl FnOnce(BreakerBuilder) -> BreakerBuilder) -> (Breaker, Hand) {
    let (clock, hand) = Clock::manual();
    let builder = Breaker::builder()
        .min_items(10)
        .open(SEC)
        .open_jitter_pct(0);
    let builder = builder.ramp(Duration::ZERO).clock(clock);
    (change(builder).build().unwrap(), hand)
}

fn same(builder: BreakerBuilder) -> BreakerBuilder {
    builder
}

fn call(breaker: &Breaker, passes: bool) -> bool {
    breaker
        .call(|| if passes { Ok(()) } else { Err(()) })
        .is_ok()
}

fn fail(breaker: &Breaker, times: u32) {
    (0..times).for_each(|_| _ = call(breaker, false));
}

/// Opens it and waits until it admits a probe.
fn half_open(breaker: &Breaker, hand: &Hand) {
    fail(breaker, 10);
    assert_eq!(breaker.state(), State::Open);
    hand.advance(SEC);
}

#[test]
fn b1_probes_that_never_come_back_do_not_leave_it_half_open() {
    let (breaker, hand) = breaker(|builder| builder.probes(2).probe_concurrency(2));
    half_open(&breaker, &hand);
    for _ in 0..2 {
        mem::forget(breaker.admit().unwrap());
    }
    assert_eq!(breaker.admit().unwrap_err().state, State::HalfOpen);
    hand.advance(10 * SEC);
    assert_eq!(breaker.admit().unwrap_err().state, State::Open);
    assert_eq!(breaker.events().last().unwrap().reason, Reason::ProbesLate);
    // And it tries again, after twice the time.
    hand.advance(2 * SEC);
    breaker.admit().unwrap().passed();
    breaker.admit().unwrap().passed();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn b1_a_ticket_that_is_dropped_is_a_failure() {
    let (breaker, hand) = breaker(|builder| builder.probes(2));
    half_open(&breaker, &hand);
    drop(breaker.admit().unwrap());
    assert_eq!(breaker.state(), State::Open);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let (breaker, _hand) = self::breaker(|builder| builder.min_items(1));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            breaker.call(|| -> Result<(), ()> { panic!("as it must") })
        }));
        assert!(unwound.is_err());
        (breaker.state(), breaker.metrics().failed)
    }));
    assert_eq!(panicked.unwrap(), (State::Open, 1));
}

#[test]
fn b2_results_of_calls_from_before_decide_nothing() {
    let (breaker, hand) = breaker(|builder| builder.probes(2).probe_concurrency(2));
    let stale: Vec<_> = (0..20).map(|_| breaker.admit().unwrap()).collect();
    half_open(&breaker, &hand);
    let probe = breaker.admit().unwrap();
    for (n, ticket) in stale.into_iter().enumerate() {
        if n % 2 == 0 {
            ticket.passed()
        } else {
            ticket.failed(Class::Timeout)
        }
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!(breaker.metrics().late, 20);
    probe.passed();
    breaker.admit().unwrap().passed();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn b3_many_callers_at_once_get_no_more_than_the_permits() {
    for probes in [1, 3, 10] {
        let (clock, hand) = Clock::manual();
        let builder = Breaker::builder()
            .min_items(1)
            .probes(probes)
            .probe_concurrency(511);
        let breaker = builder
            .open(10 * MS)
            .ramp(Duration::ZERO)
            .clock(clock)
            .build()
            .unwrap();
        for round in 0..50 {
            fail(&breaker, 1);
            hand.advance(60 * SEC);
            let (together, admitted) = (Barrier::new(8), AtomicU64::new(0));
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        together.wait();
                        for _ in 0..5 {
                            if let Ok(ticket) = breaker.admit() {
                                admitted.fetch_add(1, Ordering::Relaxed);
                                mem::forget(ticket);
                            }
                        }
                    });
                }
            });
            assert_eq!(admitted.into_inner(), u64::from(probes), "round {round}");
            assert_eq!(breaker.metrics().probes, u64::from(probes) * (round + 1));
            breaker.release();
        }
    }
}

#[test]
fn b3_as_many_probes_as_may_run_at_once_are_admitted() {
    let (breaker, hand) = breaker(|builder| builder.probes(4).probe_concurrency(2));
    half_open(&breaker, &hand);
    let (first, _second) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    first.passed();
    assert!(breaker.admit().is_ok());
    // A batch takes the permits that are left.
    let (breaker, hand) = self::breaker(|builder| builder.probes(4));
    half_open(&breaker, &hand);
    let batch = breaker.admit_up_to(64).unwrap();
    assert_eq!(batch.items(), 4);
    batch.passed();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn b4_an_error_that_does_not_count_gives_no_permit_back() {
    let (breaker, hand) = breaker(|builder| builder.probes(1));
    let stale = breaker.admit().unwrap();
    half_open(&breaker, &hand);
    let probe = breaker.admit().unwrap();
    stale.failed(Class::Item);
    assert!(breaker.admit().is_err());
    // Of a probe, it says that whom was called is well.
    probe.failed(Class::Item);
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..1000 {
        breaker.admit().unwrap().failed(Class::Item);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn b5_only_its_own_clock_ends_the_open_time() {
    let (breaker, hand) = breaker(same);
    fail(&breaker, 10);
    hand.advance(SEC - Duration::from_nanos(1));
    assert_eq!(breaker.retry_after(), Duration::from_nanos(1));
    assert_eq!(
        breaker.admit().unwrap_err().retry_after,
        Duration::from_nanos(1)
    );
    hand.advance(Duration::from_nanos(1));
    assert!(breaker.retry_after().is_zero());
    assert!(breaker.admit().is_ok());
    // However far it jumps, nothing overflows.
    hand.advance(100 * 365 * 24 * 3600 * SEC);
    assert!(breaker.admit().is_err());
    assert!(breaker.retry_after() <= 60 * SEC);
    hand.advance(Duration::MAX);
    assert!(breaker.admit().is_ok());
}

#[test]
fn b6_the_window_goes_by_the_same_clock() {
    let (breaker, hand) = breaker(|builder| builder.window(Window::Time(10 * SEC)));
    fail(&breaker, 9);
    hand.advance(11 * SEC);
    fail(&breaker, 9);
    assert_eq!(breaker.state(), State::Closed, "the first nine are too old");
    hand.advance(8 * SEC);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open, "the second nine are not");
}

#[test]
fn b8_it_decides_as_soon_as_there_are_enough_calls() {
    let (breaker, _hand) = breaker(|builder| builder.min_items(20));
    for n in 0..20 {
        assert_eq!(breaker.state(), State::Closed);
        call(&breaker, n % 2 == 0);
    }
    let event = breaker.events().next().unwrap();
    assert_eq!(
        (
            event.from,
            event.to,
            event.reason,
            event.passed,
            event.failed
        ),
        (State::Closed, State::Open, Reason::FailureRate, 10, 10)
    );
}

#[test]
fn b9_an_open_time_in_which_every_call_is_a_probe_is_refused() {
    let builder = Breaker::builder().slow(Slow::Fixed(SEC)).open(2 * SEC - MS);
    let error = builder.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`open` of a breaker is 1.999s; write 10 ms to 10 min, and at least twice the threshold of slow calls, or every call is a probe"
    );
    assert!(
        Breaker::builder()
            .slow(Slow::Fixed(SEC))
            .open(2 * SEC)
            .build()
            .is_ok()
    );
}

#[test]
fn b10_the_open_time_grows_and_is_forgotten_after_a_stable_time() {
    let (breaker, hand) = breaker(|builder| builder.min_items(1).probes(1).open_max(3 * SEC));
    let opens = |stable: Duration| {
        hand.advance(stable);
        fail(&breaker, 1);
        let open = breaker.retry_after();
        hand.advance(open);
        breaker.admit().unwrap().passed();
        assert_eq!(breaker.state(), State::Closed);
        open
    };
    let short = MS;
    assert_eq!(
        [(); 4].map(|()| opens(short)),
        [SEC, 2 * SEC, 3 * SEC, 3 * SEC]
    );
    assert_eq!([opens(30 * SEC), opens(short)], [SEC, 2 * SEC]);
}

#[test]
fn b10_the_window_begins_anew_after_recovery() {
    let (breaker, hand) = breaker(|builder| builder.probes(1));
    half_open(&breaker, &hand);
    breaker.admit().unwrap().passed();
    fail(&breaker, 9);
    assert_eq!(
        breaker.state(),
        State::Closed,
        "the ten from before are forgotten"
    );
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn b11_one_probe_does_not_decide_and_failures_that_do_are_not_waited_for() {
    let (breaker, hand) = breaker(|builder| builder.probes(10));
    half_open(&breaker, &hand);
    let probe = |passes: bool| {
        call(&breaker, passes);
        breaker.state()
    };
    for _ in 0..4 {
        assert_eq!(probe(false), State::HalfOpen);
        assert_eq!(probe(true), State::HalfOpen);
    }
    // Five of ten are half, whatever the tenth does.
    assert_eq!(probe(false), State::Open);
}

#[test]
fn b12_calls_are_not_timed_unless_somebody_says_so() {
    let slow_calls = |slow: Slow| {
        let (breaker, hand) = breaker(|builder| builder.slow(slow));
        for _ in 0..20 {
            let _ = breaker.call(|| {
                hand.advance(101 * MS);
                Ok::<(), ()>(())
            });
        }
        (
            breaker.state(),
            breaker.events().next().map(|event| event.reason),
        )
    };
    assert_eq!(slow_calls(Slow::Off), (State::Closed, None));
    // Strictly longer.
    assert_eq!(slow_calls(Slow::Fixed(101 * MS)), (State::Closed, None));
    assert_eq!(
        slow_calls(Slow::Fixed(100 * MS)),
        (State::Open, Some(Reason::SlowRate))
    );
}

#[test]
fn b13_nothing_is_held_while_a_call_runs() {
    let (breaker, _hand) = breaker(same);
    let (inside, is_inside) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let breaker = &breaker;
        let hanging = scope.spawn(move || {
            breaker.call(|| {
                inside.send(()).unwrap();
                ended.recv().map_err(drop)
            })
        });
        is_inside.recv().unwrap();
        // While that call hangs the state changes and other calls are made, also one inside of another.
        let nested = breaker.call(|| breaker.call(|| breaker.call(|| Err::<(), ()>(()))));
        assert!(matches!(
            nested,
            Err(CallError::Failed(CallError::Failed(_)))
        ));
        fail(breaker, 10);
        assert_eq!(breaker.state(), State::Open);
        end.send(()).unwrap();
        assert!(hanging.join().unwrap().is_ok());
    });
    assert_eq!(breaker.metrics().late, 1);
}

#[test]
fn failures_in_a_row_open_it_whatever_the_window_says() {
    let (breaker, _hand) = breaker(|builder| builder.min_items(1000).consecutive(3));
    for _ in 0..200 {
        fail(&breaker, 2);
        assert!(call(&breaker, true));
    }
    fail(&breaker, 3);
    assert_eq!(breaker.events().next().unwrap().reason, Reason::Consecutive);
}

#[test]
fn of_a_batch_that_is_larger_than_the_window_all_counts() {
    for items in [9, 10, 64, 1_000] {
        let (breaker, _hand) = breaker(|builder| builder.window(Window::Count(10)).min_items(9));
        let batch = |passed| Outcome {
            passed,
            failed: items - passed,
            slow: 0,
        };
        breaker
            .admit_up_to(items)
            .unwrap()
            .settle(batch(items - items / 3));
        assert_eq!(breaker.state(), State::Closed, "a third of {items} failed");
        breaker.admit_up_to(items).unwrap().settle(batch(0));
        assert_eq!(breaker.state(), State::Open, "all of {items} failed");
    }
}

#[test]
fn a_window_of_calls_forgets_by_calls() {
    let (breaker, hand) = breaker(|builder| builder.window(Window::Count(100)).min_items(100));
    for n in 0..1000 {
        call(&breaker, n % 5 != 0);
        hand.advance(SEC);
    }
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 45);
    assert_eq!(breaker.state(), State::Open);
    let event = breaker.events().next().unwrap();
    assert!(
        (90..=110).contains(&(event.passed + event.failed)),
        "{event:?}"
    );
}

#[test]
fn after_it_closed_it_admits_more_and_more() {
    let (breaker, hand) = breaker(|builder| builder.probes(1).ramp(SEC));
    half_open(&breaker, &hand);
    breaker.admit().unwrap().passed();
    let mut shares = Vec::new();
    for _ in 0..11 {
        let admitted = (0..1000)
            .filter(|_| breaker.admit().map(|ticket| ticket.passed()).is_ok())
            .count();
        shares.push(admitted / 10);
        hand.advance(100 * MS);
    }
    assert_eq!(shares, [10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100]);
}

#[test]
fn it_does_what_it_is_told() {
    let (breaker, hand) = breaker(same);
    breaker.force_open();
    hand.advance(3600 * SEC);
    let refused = breaker.admit().unwrap_err();
    assert_eq!(
        (refused.state, refused.retry_after),
        (State::ForcedOpen, Duration::MAX)
    );
    breaker.force_closed();
    fail(&breaker, 1000);
    assert_eq!(
        (breaker.state(), breaker.metrics().failed),
        (State::ForcedClosed, 1000)
    );
    breaker.release();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 10);
    assert_eq!(breaker.state(), State::Open);
    breaker.release();
    assert!(call(&breaker, true));
}

#[test]
fn jitter_is_within_its_range_and_the_same_for_the_same_seed() {
    let times = |seed| {
        let (breaker, hand) = breaker(|builder| {
            builder
                .min_items(1)
                .open_backoff(1.0)
                .open_jitter_pct(20)
                .seed(seed)
                .probes(1)
        });
        let times: Vec<Duration> = (0..50)
            .map(|_| {
                fail(&breaker, 1);
                let open = breaker.retry_after();
                hand.advance(open);
                breaker.admit().unwrap().passed();
                open
            })
            .collect();
        assert!(
            times
                .iter()
                .all(|time| (800 * MS..=1200 * MS).contains(time)),
            "{times:?}"
        );
        times
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
    let spread = times(3);
    assert!(
        spread
            .iter()
            .max()
            .unwrap()
            .saturating_sub(*spread.iter().min().unwrap())
            > 200 * MS
    );
}

#[test]
fn numbers_out_of_range_are_told_with_what_to_write() {
    let check = |builder: BreakerBuilder, field: &str| {
        let error = builder.build().map(drop).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    };
    let new = Breaker::builder;
    check(new().window(Window::Time(99 * MS)), "window");
    check(new().window(Window::Count(9)), "window");
    check(new().min_items(0), "min_items");
    check(new().window(Window::Count(50)).min_items(51), "min_items");
    check(new().failure_pct(0), "failure_pct");
    check(new().failure_pct(101), "failure_pct");
    check(new().slow(Slow::Fixed(Duration::ZERO)), "slow");
    check(new().slow_pct(101), "slow_pct");
    check(new().open(9 * MS), "open");
    check(new().open_backoff(0.9), "open_backoff");
    check(new().open_backoff(f64::NAN), "open_backoff");
    check(new().open_max(SEC), "open_max");
    check(new().open_jitter_pct(101), "open_jitter_pct");
    check(new().probes(0), "probes");
    check(new().probes(4096), "probes");
    check(new().probe_concurrency(512), "probe_concurrency");
    check(new().half_open_max(Duration::ZERO), "half_open_max");
    check(new().ramp(3601 * SEC), "ramp");
    check(new().closed_stable(3601 * SEC), "closed_stable");
}

#[test]
fn calls_of_many_threads_are_all_counted() {
    let breaker = Breaker::builder().failure_pct(100).build().unwrap();
    const THREADS: u64 = 100;
    const CALLS: u64 = 1003;
    for _ in 0..3 {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..CALLS).for_each(|n| _ = call(&breaker, n % 10 != 0)));
            }
        });
    }
    let metrics = breaker.metrics();
    let failed = 3 * THREADS * CALLS.div_ceil(10);
    assert_eq!(
        (metrics.passed, metrics.failed),
        (3 * THREADS * CALLS - failed, failed)
    );
    assert_eq!(
        (metrics.late, metrics.refused, breaker.state()),
        (0, 0, State::Closed)
    );
}

#[test]
fn callers_that_flap_never_get_more_permits_than_there_are() {
    let (clock, hand) = Clock::manual();
    let builder = Breaker::builder()
        .min_items(4)
        .probes(3)
        .probe_concurrency(2)
        .open(10 * MS)
        // However often it fails, so that the clock gets there again and again.
        .open_max(40 * MS);
    let breaker = builder
        .ramp(Duration::ZERO)
        .closed_stable(Duration::ZERO)
        .clock(clock)
        .build()
        .unwrap();
    thread::scope(|scope| {
        for seed in 0..4u64 {
            let (breaker, hand) = (&breaker, &hand);
            scope.spawn(move || {
                let mut random = seed + 1;
                for _ in 0..20_000 {
                    random = random
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    match random >> 61 {
                        0 => hand.advance(5 * MS),
                        1 => drop(breaker.admit()),
                        2 => breaker.admit_up_to(2).into_iter().for_each(|ticket| {
                            ticket.settle(Outcome {
                                passed: 1,
                                failed: 1,
                                slow: 0,
                            })
                        }),
                        n => _ = call(breaker, n % 2 == 0),
                    }
                }
            });
        }
    });
    let metrics = breaker.metrics();
    let half_open = metrics.changes;
    assert!(metrics.changes > 100, "{metrics:?}");
    assert!(metrics.probes <= 3 * half_open, "{metrics:?}");
    // However it ended, it recovers.
    for _ in 0..2 {
        hand.advance(60 * SEC);
        (0..4).for_each(|_| _ = call(&breaker, true));
    }
    assert_eq!(breaker.state(), State::Closed);
}
