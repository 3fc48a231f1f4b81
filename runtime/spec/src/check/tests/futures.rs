//! Tests of the rules about `async fn`.

use super::{check, good};

#[test]
fn futures_are_polled_by_the_pool_and_end_in_any_order() {
    good(
        "a: source poll serial | | acks\nb: stage async result | a | in_flight=4 timeout=\"1s\" retry=group order=any\nc: sink async | b\nd: sink | b::Err",
    );
    check(
        "a: source\nb: stage async | a | cores=\"1\" simd=avx2\nc: sink async | b | order=keep",
        &[
            "E_ASYNC at b.cores: `cores` of `b`, which is an `async fn`: its futures are polled by the workers of the pool, whichever is free",
            "E_ASYNC at b.simd: `simd` of `b`, which is an `async fn`: a future is polled, not called in a loop",
            "E_ASYNC at c.order: `order` of `c`, which is an `async fn`: its futures are under way at once, so it sees no order",
        ],
        "remove `cores`; what computes for long goes on a stage of its own",
    );
    check(
        "a: source\nb: stage async | a | prefetch=8\nc: sink | b",
        &[
            "E_ASYNC at b.prefetch: `prefetch` of `b`, which is an `async fn`: a future is polled, not called in a loop",
        ],
        "put `prefetch` on a stage of its own in front",
    );
}
