//! Tests of the rules about options.

use super::{check, good};

#[test]
fn a_key_stands_on_the_kinds_that_take_it() {
    check(
        "a: source | | linger=\"1ms\"\nb: sink | a | idle=\"1ms\"",
        &[
            "E_WRONG_KIND at a.linger: `linger` is for stages and sinks, and `a` is a source",
            "E_WRONG_KIND at b.idle: `idle` is for sources, and `b` is a sink",
        ],
        "remove it",
    );
}

#[test]
fn a_state_is_by_key_or_by_worker() {
    check(
        "a: source\nb: sink keyed | a | key=code per_worker",
        &["E_CONFLICT at b.per_worker: `key` and `per_worker` exclude each other"],
        "keep `key` for one state for each key, or `per_worker` for one for each worker",
    );
}

#[test]
fn keys_about_state_need_a_state() {
    check(
        "a: source\nb: sink | a | key=code\nc: sink | a | per_worker\nd: sink | a | state=code",
        &[
            "E_NEEDS at b.key: `key` of `b` needs a `&mut S` parameter",
            "E_NEEDS at c.per_worker: `per_worker` of `c` needs a `&mut S` parameter",
            "E_NEEDS at d.state: `state` of `d` needs a `&mut S` parameter",
        ],
        "add a `&mut S` parameter, or remove it",
    );
}

#[test]
fn keys_that_need_a_certain_function_have_it() {
    check(
        "a: source | | idle=\"1ms\"
         b: stage | a | batch=64
         c: stage | b | linger=\"1ms\"
         d: stage | c | in_flight=4
         e: sink | d | timeout=\"1s\" retry=group breaker=group
         f: stage batch | a | simd=avx2
         g: stage many | f | simd=avx2
         h: sink | g | simd=avx2",
        &[
            "E_NEEDS at a.idle: `idle` of `a` needs a source that returns `Flow`",
            "E_NEEDS at b.batch: `batch` of `b` needs a source or a function that takes many items at a time",
            "E_NEEDS at c.linger: `linger` of `c` needs a function that takes many items at a time, or a `key`",
            "E_NEEDS at d.in_flight: `in_flight` of `d` needs an `async fn`",
            "E_NEEDS at e.timeout: `timeout` of `e` needs a function that returns a `Result`",
            "E_NEEDS at e.retry: `retry` of `e` needs a function that returns a `Result`",
            "E_NEEDS at e.breaker: `breaker` of `e` needs a function that returns a `Result`",
            "E_NEEDS at f.simd: `simd` of `f` needs a function that takes one item and does its work in the call",
            "E_NEEDS at g.simd: `simd` of `g` needs a function that takes one item and does its work in the call",
        ],
        "return `Flow`, or remove it",
    );
}

#[test]
fn a_queue_is_in_front_of_the_input() {
    check(
        "a: source | | cores=\"0\"\nb: sink | a | queue=64 overflow=block\nc: sink | a | queue=64 cores=\"1\"",
        &[
            "E_NEEDS at b.queue: `queue` of `b` needs a stage that reads `input`, or a pinned stage that is fed item by item",
            "E_NEEDS at b.overflow: `overflow` of `b` needs a stage that reads `input`, or a pinned stage that is fed item by item",
        ],
        "remove it; other stages have no queue to size",
    );
}

#[test]
fn wait_needs_cores() {
    check(
        "a: source\nb: sink | a | wait=spin",
        &["E_NEEDS at b.wait: `wait` of `b` needs `cores`"],
        "add `cores`, or remove it",
    );
}

#[test]
fn on_panic_fits_the_state() {
    check(
        "a: source\nb: sink | a | on_panic=reset",
        &["E_NEEDS at b.on_panic=: `on_panic = reset` needs a state, and `b` has none"],
        "write `isolate` or `stop`",
    );
    check(
        "a: source\nb: sink serial | a | on_panic=isolate",
        &[
            "E_NEEDS at b.on_panic=: a panic may leave the state of `b` broken for the items behind it",
        ],
        "write `reset` for a new state, `keep` to go on with the old one, or `stop`",
    );
    good("a: source\nb: sink per_worker | a | on_panic=isolate\nc: sink keyed | a | on_panic=keep");
}

#[test]
fn an_acknowledged_source_is_polled_and_has_a_state() {
    check(
        "a: source | | acks
         b: source poll | | acks
         c: sink | a, b | acks",
        &[
            "E_WRONG_KIND at c.acks: `acks` is for sources, and `c` is a sink",
            "E_NEEDS at a.acks: `acks` of `a` needs a function that is polled and has a state",
            "E_NEEDS at b.acks: `acks` of `b` needs a function that is polled and has a state",
        ],
        "remove it",
    );
    good("a: source poll serial | | acks state=code\nb: sink serial | a");
    good(
        "a: source poll serial | | acks
         b: stage | a
         c: sink result | b | on_error=drop breaker=group:on_open=nack",
    );
    check(
        "a: source poll serial | | acks
         b: source
         c: stage | b, a
         d: sink result | c | on_error=drop breaker=group:on_open=nack",
        &[
            "E_GUARD at on_open=: `on_open = nack` of `d` gives items back to `b`, which cannot give them again",
        ],
        "write `on_open = hold`, which keeps them until the breaker lets them through, or let `b` be polled, with `acks` and a state that is `Rewind`",
    );
    check(
        "a: sink result | input | on_error=drop breaker=group:on_open=nack",
        &[
            "E_GUARD at on_open=: `on_open = nack` of `a` gives items back to `input`, which cannot give them again",
        ],
        "write `on_open = hold`, which keeps them until the breaker lets them through, or read a source with `acks`",
    );
}

#[test]
fn items_of_an_acknowledged_source_are_followed_and_not_lost() {
    check(
        "a: source poll serial | | acks
         b: stage serial | a | on_panic=reset
         c: stage | b | on_panic=stop
         d: sink | c | cores=\"1\"
         e: sink async result | c | on_error=stop",
        &[
            "E_ACKS_PANIC at b.on_panic=: `a` is acknowledged, and an item that panics in `b` would be lost",
            "E_ACKS_PINNED at d.cores: `a` is acknowledged, and items are not followed through the pinned threads of `d`",
        ],
        "write `on_panic = stop`, which is what happens without it: the items come again with the next run",
    );
}

#[test]
fn there_are_cores_for_all_workers() {
    check(
        "a: source\nb: stage | a | workers=4 cores=\"0,2\"\nc: sink | b",
        &[
            "E_GUARD at b.workers: `workers` of `b` needs more cores than that, because nobody calls it but its 2 threads",
        ],
        "remove it, or name more cores",
    );
    check(
        "a: source\nb: sink | a\n@ pool workers=2 cores=\"3\"",
        &["E_FEW_CORES at @pool.cores=: the pool has 2 workers on 1 core"],
        "give 2 cores, or at most 1 workers",
    );
}

#[test]
fn prefetch_is_for_functions_that_take_one_item() {
    check(
        "a: source
         b: stage batch | a | prefetch=8
         c: stage keyed | b | key=code prefetch=code
         d: sink | c | prefetch=8",
        &[
            "E_WRONG_KIND at d.prefetch: `prefetch` is for stages, and `d` is a sink",
            "E_NEEDS at b.prefetch: `prefetch` of `b` needs a function that takes one item at a time and has no `key`",
            "E_NEEDS at c.prefetch: `prefetch` of `c` needs a function that takes one item at a time and has no `key`",
        ],
        "remove it",
    );
}

#[test]
fn items_that_wait_for_memory_are_not_overtaken() {
    check(
        "a: source
         b: stage | a
         c: stage | a | prefetch=8
         d: stage | c
         e: sink | b, d",
        &[
            "E_PREFETCH_ORDER at c.prefetch: items wait in front of `c`, and others would overtake them on their way to `e`",
        ],
        "put `prefetch` on a stage that all of them pass, or write `order = any` on `e`",
    );
    check(
        "a: stage result | input
         b: stage | a::Err | prefetch=8
         c: sink | a, b",
        &[
            "E_PREFETCH_ORDER at b.prefetch: items wait in front of `b`, and others would overtake them on their way to `c`",
        ],
        "put `prefetch` on a stage that all of them pass, or write `order = any` on `c`",
    );
}

#[test]
fn prefetch_goes_where_ways_do_not_meet_again_or_all_of_them_wait() {
    good(
        "a: source
         b: stage | a | prefetch=8
         c: stage result | b | prefetch=8
         d: stage | c::Err
         e: stage | c, d | prefetch=8
         f: sink | e
         g: stage | e | prefetch=8
         h: sink | g
         i: source
         j: stage | i | prefetch=8
         k: sink | e, j
         l: sink | g, e | order=any",
    );
}

#[test]
fn items_that_panic_leave_by_an_error_that_is_read() {
    check(
        "a: source\nb: stage | a | on_panic=dead_letter\nc: sink | b",
        &[
            "E_NEEDS at b.on_panic=: `on_panic = dead_letter` of `b` needs a function that returns a `Result`",
        ],
        "let the function return a `Result` whose error is `From<pipewright::Panicked>`, or remove it",
    );
    check(
        "a: source\nb: stage batch | a | on_panic=dead_letter\nc: sink | b",
        &[
            "E_NEEDS at b.on_panic=: `on_panic = dead_letter` of `b` needs a function that judges its items",
        ],
        "return a verdict on each, whose error is `From<pipewright::Panicked>`, or remove it",
    );
    good("a: source\nb: stage verdicts | a | on_panic=dead_letter\nc: sink | b, b::Err");
    good("a: source\nb: stage async result | a | on_panic=dead_letter\nc: sink | b, b::Err");
    check(
        "a: source\nb: stage result | a | on_panic=dead_letter on_error=drop\nc: sink | b",
        &["E_NEEDS at b.on_panic=: nothing reads `b::Err`, where items go that panic"],
        "add a sink with `from = b::Err`, or remove it",
    );
    good("a: source\nb: stage serial result | a | on_panic=dead_letter\nc: sink | b, b::Err");
    good("a: source\nb: stage per_worker result | a | on_panic=dead_letter\nc: sink | b, b::Err");
}
