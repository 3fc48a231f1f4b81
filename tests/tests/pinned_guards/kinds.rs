//! Every guard before every kind of stage.

use pipewright::{Batch, DeadLetter, GuardMetrics, pipeline};
use pipewright_tests::uneven;

use crate::world::{Count, Env, Failure, Faults, ITEMS, Order, cached, check, key_of};

/// A pipeline whose stage is called one by one. `$on` says what kind of stage it is, `$guards` what guards it, `$n` and `$param` what
/// it takes, `$before` what it does before it calls, and `$further` are further stages.
macro_rules! guarded {
    ($name:ident, [$($on:tt)*], [$($guards:tt)*], ($n:ident $($param:tt)*), { $($before:tt)* }, $reject:item $($further:item)*) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source]
            pub fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers)]
            pub fn before(n: u64) -> u64 {
                uneven(n)
            }

            #[stage(from = before, $($on)*, $($guards)*)]
            pub fn guarded($n: u64 $($param)*, env: &Env) -> Result<u64, Failure> {
                $($before)*
                env.call($n)
            }

            #[stage(from = guarded)]
            pub fn behind(n: u64) -> u64 {
                uneven(n)
            }

            #[sink(from = behind)]
            pub fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            $reject

            $($further)*
        }
    };
}

/// Breaker, retry, rate and timeout together, before a stage of some kind.
macro_rules! all_guards {
    ($name:ident, [$($on:tt)*], ($($param:tt)*), { $($before:tt)* }) => {
        guarded!($name, [$($on)*], [
            timeout = "10s",
            rate = "100k/s",
            retry(max = 9, backoff = "1ms", max_backoff = "2ms"),
            breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5)
        ], ($($param)*), { $($before)* },
            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
        );
    };
}

all_guards!(one_thread, [cores = "0"], (n), {});
all_guards!(threads, [cores = "0,1"], (n), {});
all_guards!(one_state, [cores = "0"], (n, last: &mut Count), {
    assert!(n >= last.0, "nothing overtakes what is tried again");
    last.0 = n;
});
all_guards!(keys_of_one_thread, [cores = "0", key = key_of], (n, last: &mut Count), {
    assert!(n >= last.0, "nothing of the key overtakes what is tried again");
    last.0 = n;
});
all_guards!(keys_of_threads, [cores = "0,1", key = key_of], (n, last: &mut Count), {
    assert!(n >= last.0, "nothing of the key overtakes what is tried again");
    last.0 = n;
});
all_guards!(state_of_threads, [cores = "0,1", per_worker], (n, count: &mut Count), {
    count.0 += 1;
});
all_guards!(simd, [simd = [sse4_2, avx2, avx512, neon]], (n), {});
all_guards!(simd_state, [simd = [sse4_2, avx2, avx512, neon]], (n, last: &mut Count), {
    assert!(n >= last.0, "nothing overtakes what is tried again");
    last.0 = n;
});
all_guards!(
    simd_pinned,
    [cores = "0", simd = [sse4_2, avx2, avx512, neon]],
    (n),
    {}
);
all_guards!(ahead, [prefetch = Env::place], (n), {});
all_guards!(ahead_state, [prefetch = |n: &u64, env: &Env| env.place(n)], (n, last: &mut Count), {
    assert!(n >= last.0, "nothing overtakes what is tried again");
    last.0 = n;
});
all_guards!(ahead_pinned, [cores = "0,1", prefetch = Env::place], (n), {
});
all_guards!(
    ahead_simd,
    [
        cores = "0",
        prefetch = Env::place,
        simd = [sse4_2, avx2, avx512, neon]
    ],
    (n),
    {}
);

/// A hundred calls in a row fail.
const DOWN: Faults = Faults {
    from: 500,
    times: 100,
    panics: 0,
};

fn broke_and_retried(seen: &GuardMetrics, env: &Env, report: &str) {
    assert!(seen.breaker.changes >= 3, "{report}");
    assert!(seen.held > 0 && seen.retried > 0, "{report}");
    // Every item that failed for good was tried as often as the budget let it.
    let calls = ITEMS + seen.retried;
    assert_eq!(env.calls(), calls, "{report}");
}

#[test]
fn nothing_is_lost_before_stages_with_threads_of_their_own_however_they_wait() {
    for wait in ["adaptive", "park", "spin"] {
        let text = format!(r#"( stages: {{ "guarded": (wait: {wait}) }} )"#);
        let pipeline = one_thread::pipeline().tuning("wait.ron", &text).unwrap();
        check(pipeline, DOWN, Order::Source, broke_and_retried);
    }
    check(threads::pipeline(), DOWN, Order::Source, broke_and_retried);
    check(
        one_state::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
    check(
        state_of_threads::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
}

#[test]
fn nothing_of_a_key_is_lost_or_overtaken_before_threads_that_have_the_keys() {
    check(
        keys_of_one_thread::pipeline(),
        DOWN,
        Order::Keys,
        broke_and_retried,
    );
    check(
        keys_of_threads::pipeline(),
        DOWN,
        Order::Keys,
        broke_and_retried,
    );
}

#[test]
fn nothing_is_lost_before_stages_that_are_compiled_for_vector_levels() {
    check(simd::pipeline(), DOWN, Order::Source, broke_and_retried);
    check(
        simd_state::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
    check(
        simd_pinned::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
}

#[test]
fn nothing_is_lost_before_stages_whose_memory_is_asked_for_ahead() {
    check(ahead::pipeline(), DOWN, Order::Source, broke_and_retried);
    check(
        ahead_state::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
    check(
        ahead_pinned::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
    check(
        ahead_simd::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
}

/// What follows instead of waiting, before a stage of some kind.
macro_rules! instead {
    ($dead:ident, $dropped:ident, $diverted:ident, $fell_back:ident, [$($on:tt)*], ($($param:tt)*)) => {
        guarded!($dead, [$($on)*], [
            on_panic = dead_letter,
            breaker(consecutive = 5, open = "10ms", open_max = "10ms", ramp = "0s", probes = 3, on_open = dead_letter)
        ], ($($param)*), {},
            #[sink(from = guarded::Err)]
            pub fn reject(letter: DeadLetter<Failure, u64>, env: &Env) {
                let item = match letter.error {
                    Failure::Refused(_) => None,
                    _ => Some(letter.item),
                };
                env.reject(&letter.error, item);
            }
        );
        guarded!($dropped, [$($on)*], [
            breaker(consecutive = 5, open = "10ms", open_max = "10ms", ramp = "0s", probes = 3, on_open = drop)
        ], ($($param)*), {},
            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
        );
        guarded!($diverted, [$($on)*], [
            breaker(consecutive = 5, open = "10ms", open_max = "10ms", ramp = "0s", probes = 3, on_open = divert)
        ], ($($param)*), {},
            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
            #[sink(from = guarded::Diverted)]
            pub fn spool(n: u64, env: &Env) {
                env.spool(n);
            }
        );
        guarded!($fell_back, [$($on)*], [
            breaker(consecutive = 5, open = "10ms", open_max = "10ms", ramp = "0s", probes = 3, fallback = cached)
        ], ($($param)*), {},
            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
        );
    };
}

instead!(dead, dropped, diverted, fell_back, [cores = "0"], (n));
instead!(dead_threads, dropped_threads, diverted_threads, fell_back_threads, [cores = "0,1", key = key_of], (n, _count: &mut Count));
instead!(
    dead_simd,
    dropped_simd,
    diverted_simd,
    fell_back_simd,
    [simd = [sse4_2, avx2, avx512, neon]],
    (n)
);
instead!(
    dead_ahead,
    dropped_ahead,
    diverted_ahead,
    fell_back_ahead,
    [cores = "0", prefetch = Env::place],
    (n)
);

#[test]
fn items_leave_as_letters_when_the_breaker_is_open_and_when_they_panic() {
    let faults = Faults {
        panics: 500,
        ..DOWN
    };
    let also = |seen: &GuardMetrics, env: &Env, report: &str| {
        assert!(seen.refused > 0, "{report}");
        let panicked = |n: &u64| n.is_multiple_of(500);
        assert!(env.rejected().iter().any(panicked), "{report}");
        assert!(!env.published().iter().any(panicked), "{report}");
    };
    check(dead::pipeline(), faults, Order::Source, also);
    check(dead_threads::pipeline(), faults, Order::Keys, also);
    check(dead_simd::pipeline(), faults, Order::Source, also);
    check(dead_ahead::pipeline(), faults, Order::Source, also);
}

#[test]
fn items_are_dropped_and_counted_where_that_is_said() {
    let also = |seen: &GuardMetrics, _: &Env, report: &str| assert!(seen.dropped > 0, "{report}");
    check(dropped::pipeline(), DOWN, Order::Source, also);
    check(dropped_threads::pipeline(), DOWN, Order::Keys, also);
    check(dropped_simd::pipeline(), DOWN, Order::Source, also);
    check(dropped_ahead::pipeline(), DOWN, Order::Source, also);
}

#[test]
fn items_leave_by_a_door_of_their_own_where_that_is_said() {
    let also = |seen: &GuardMetrics, env: &Env, report: &str| {
        assert!(seen.diverted > 0, "{report}");
        assert_eq!(env.spooled().len() as u64, seen.diverted, "{report}");
    };
    check(diverted::pipeline(), DOWN, Order::Source, also);
    check(diverted_threads::pipeline(), DOWN, Order::Keys, also);
    check(diverted_simd::pipeline(), DOWN, Order::Source, also);
    check(diverted_ahead::pipeline(), DOWN, Order::Source, also);
}

#[test]
fn another_function_takes_the_place_of_the_stage_where_that_is_said() {
    let also = |seen: &GuardMetrics, env: &Env, report: &str| {
        assert!(seen.fell_back > 0, "{report}");
        let published = env.published();
        let spooled = env.spooled();
        assert_eq!(spooled.len() as u64, seen.fell_back, "{report}");
        let found = |n: &u64| published.contains(n);
        assert!(spooled.iter().all(found), "{report}");
    };
    check(fell_back::pipeline(), DOWN, Order::Source, also);
    check(fell_back_threads::pipeline(), DOWN, Order::Keys, also);
    check(fell_back_simd::pipeline(), DOWN, Order::Source, also);
    check(fell_back_ahead::pipeline(), DOWN, Order::Source, also);
}

/// A batch stage, on one thread and on two.
macro_rules! batches {
    ($name:ident, $cores:literal) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source(cores = "2")]
            pub fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, cores = $cores, batch = 16, retry(max = 9, backoff = "1ms", max_backoff = "2ms"),
                breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
            pub fn guarded(numbers: &mut Batch<u64>, env: &Env) -> Vec<Result<u64, Failure>> {
                numbers.drain().map(|n| env.call(n)).collect()
            }

            #[sink(from = guarded)]
            pub fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
        }
    };
}

batches!(batch, "0");
batches!(batch_threads, "0,1");

#[test]
fn of_a_batch_on_a_thread_of_its_own_what_failed_is_tried_again_and_order_is_kept() {
    check(batch::pipeline(), DOWN, Order::Source, broke_and_retried);
    check(
        batch_threads::pipeline(),
        DOWN,
        Order::Source,
        broke_and_retried,
    );
}

/// Nothing but pinned threads: batches go from one to the next, and the last two have a ring between them.
#[pipeline(env = Env)]
mod chain {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "1", retry(max = 9, backoff = "1ms", max_backoff = "2ms"),
        breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[stage(from = guarded, cores = "2")]
    pub fn behind(n: u64) -> u64 {
        n
    }

    #[sink(from = behind, cores = "3", queue = 64)]
    pub fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    pub fn reject(failure: Failure, env: &Env) {
        env.reject(&failure, None);
    }
}

/// A guarded sink behind a ring's place, and one with a bulkhead over its threads.
#[pipeline(env = Env)]
mod ends {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, cores = "1", retry(max = 9, backoff = "1ms", max_backoff = "2ms"),
        breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    pub fn guarded(n: u64, env: &Env) -> Result<(), Failure> {
        env.call(n).map(|n| env.publish(n))
    }

    #[sink(from = guarded::Err)]
    pub fn reject(failure: Failure, env: &Env) {
        env.reject(&failure, None);
    }
}

#[test]
fn guarded_stages_stand_between_pinned_threads_and_at_their_end() {
    check(chain::pipeline(), DOWN, Order::Source, broke_and_retried);
    check(ends::pipeline(), DOWN, Order::Source, broke_and_retried);
}
