//! Tests of the rules about guards.

use super::{check, good};

#[test]
fn a_guarded_stage_runs_in_a_loop_that_can_stop() {
    check(
        "a: source\nb: sink batch | a | breaker=group",
        &["E_NEEDS at b.breaker: `breaker` of `b` needs a function that judges its items"],
        "return a verdict on each, `Vec<Result<(), E>>` or `Vec<Result<U, E>>`, or remove it",
    );
    good(
        "a: source\nb: stage verdicts | a | breaker=group rate=\"1k/s\" timeout=\"1s\" retry=group on_error=drop\nc: sink | b",
    );
}

#[test]
fn every_guard_stands_before_stages_with_cores_simd_and_prefetch() {
    let guards = [
        "breaker=group",
        "breaker=group:slow=\"1ms\"",
        "breaker=group:hold=\"1s\"",
        "breaker=group:on_open=drop",
        "retry=group",
        "timeout=\"1s\"",
        "rate=\"1k/s\"",
    ];
    let kinds = [
        "cores=\"1\"",
        "cores=\"1,2\"",
        "simd=avx2",
        "prefetch=8",
        "cores=\"1\" simd=avx2",
        "cores=\"1\" prefetch=8",
        "simd=avx2 prefetch=8",
    ];
    for (guard, kind) in guards
        .iter()
        .flat_map(|guard| kinds.map(|kind| (guard, kind)))
    {
        good(&format!(
            "a: source\nb: stage result | a | {guard} {kind}\nc: sink | b\nd: sink | b::Err"
        ));
    }
}

#[test]
fn workers_bounds_threads_where_there_are_more_of_them() {
    check(
        "a: source\nb: stage async | a | workers=1\nc: sink | b",
        &[
            "E_GUARD at b.workers: `workers` of `b` needs a function that holds a worker while it waits",
        ],
        "write `in_flight`, which is how many futures are under way at once",
    );
    good("a: source\nb: stage | a | workers=2 cores=\"1-3\"\nc: sink | b");
    check(
        "a: source\nb: stage | a | workers=2 cores=\"1,2\"\nc: sink | b",
        &[
            "E_GUARD at b.workers: `workers` of `b` needs more cores than that, because nobody calls it but its 2 threads",
        ],
        "remove it, or name more cores",
    );
    check(
        "a: source\nb: sink serial | a | workers=1 cores=\"1\"",
        &[
            "E_GUARD at b.workers: `workers` of `b` needs more cores than that, because nobody calls it but its 1 thread",
        ],
        "remove it, or name more cores",
    );
}

#[test]
fn a_guarded_stage_has_its_threads_to_itself() {
    check(
        "a: source | | cores=\"0\"\nb: stage result | a | breaker=group cores=\"0\" on_error=drop\nc: sink | b",
        &[
            "E_GUARD at b.cores=: `b` names the cores of `a`, and `b` is guarded, so that it has its threads to itself",
        ],
        "name other cores for one of them, or remove `cores` from `b`",
    );
    check(
        "a: source\nb: stage result | a | breaker=group cores=\"0\" on_error=drop\nc: sink | b | cores=\"0\"",
        &[
            "E_GUARD at c.cores=: `c` names the cores of `b`, and `b` is guarded, so that it has its threads to itself",
        ],
        "name other cores for one of them, or remove `cores` from `c`",
    );
    good(
        "a: source | | cores=\"0\"\nb: stage result | a | breaker=group cores=\"1\" on_error=drop\nc: sink | b | cores=\"2\"",
    );
}

#[test]
fn nothing_waits_in_front_of_a_guarded_stage_with_prefetch() {
    good(
        "a: source\nb: stage | a\nc: stage result | b | prefetch=8 breaker=group on_error=drop\nd: stage | b\ne: sink | c, d",
    );
}

#[test]
fn the_numbers_of_a_breaker_fit_each_other() {
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group:open=\"1s\",open_max=\"500ms\"",
        &["E_BREAKER at open_max=: `open_max` of the breaker of `b`: it is shorter than `open`"],
        "give it at least as long",
    );
    good("a: source\nb: sink result | a | on_error=drop breaker=group:open=\"1s\",open_max=\"1s\"");
}

#[test]
fn items_that_do_not_wait_are_handed_to_somebody() {
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group:on_open=dead_letter",
        &["E_GUARD at on_open=: nothing reads `b::Err`, where items go while the breaker is open"],
        "add a sink with `from = b::Err` in the place of `on_error`, or write `on_open = drop`",
    );
    good("a: source\nb: sink result | a | breaker=group:on_open=dead_letter\nc: sink | b::Err");
    good("a: source\nb: sink result | a | on_error=drop breaker=group:on_open=drop");
}

#[test]
fn what_is_diverted_is_read_and_is_no_main_door() {
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group:on_open=divert",
        &[
            "E_GUARD at on_open=: nothing reads `b::Diverted`, where items go while the breaker is open",
        ],
        "add a stage or sink with `from = b::Diverted`, which takes what `b` takes",
    );
    good(
        "a: source\nb: sink result | a | on_error=drop breaker=group:on_open=divert\nc: sink | b::Diverted",
    );
    good(
        "a: source\nb: stage result | a | on_error=drop breaker=group:on_open=divert\nc: sink | b\nd: sink | b::Diverted",
    );
    check(
        "a: source\nb: stage result | a | on_error=drop breaker=group:on_open=divert\nd: sink | b::Diverted",
        &["E_UNREAD at b: nothing reads `b`"],
        "add a stage or sink with `from = b`, or make it a `#[sink]` that returns nothing",
    );
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group\nc: sink | b::Diverted",
        &["E_FROM_SINK at c.from[0]: `b` is a sink, so it has no output"],
        "make it a `#[stage]` that returns what is to be read",
    );
}

#[test]
fn a_fallback_is_a_function_and_is_called_only_where_that_is_said() {
    good("a: source\nb: sink result | a | on_error=drop breaker=group:fallback=cached");
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group:on_open=fallback",
        &[
            "E_BREAKER at on_open=: `on_open` of the breaker of `b`: there is no function to fall back on",
        ],
        "add `fallback = ..` with the name of a function",
    );
    check(
        "a: source\nb: sink result | a | on_error=drop breaker=group:on_open=drop,fallback=cached",
        &[
            "E_BREAKER at fallback=: `fallback` of the breaker of `b`: nothing calls it, because `on_open` says otherwise",
        ],
        "remove it, or write `on_open = fallback`",
    );
}

#[test]
fn the_longest_pause_is_no_shorter_than_the_first() {
    check(
        "a: source\nb: sink result | a | on_error=drop retry=group:backoff=\"2s\"",
        &["E_RETRY at backoff=: the longest pause of `b` is shorter than the first"],
        "let `max_backoff` be at least `backoff`",
    );
    good(
        "a: source\nb: sink result | a | on_error=drop retry=group:backoff=\"2s\",max_backoff=\"2s\"",
    );
}
