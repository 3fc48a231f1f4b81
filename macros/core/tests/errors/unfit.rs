//! Options that do not fit where they stand.

use super::check;

#[test]
fn an_option_fits_its_stage_and_its_pipeline() {
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, workers = 4, cores = "1-2", order = any)] fn z(x: u8) {}
     }"#,
        &[
            r#"`workers` of `z` needs more cores than that, because nobody calls it but its 2 threads
help: remove it, or name more cores"#,
        ],
    );
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, in_flight = 8)] fn z(x: u8) {}
     }"#,
        &[r#"`in_flight` of `z` needs an `async fn`
help: write `async fn`, or remove it"#],
    );
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, timeout = "5ms")] fn z(x: u8) {}
     }"#,
        &[r#"`timeout` of `z` needs a function that returns a `Result`
help: let the function return a `Result`, or remove it"#],
    );
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, retry(max = 3))] fn z(x: u8) -> Result<(), E> {}
     }"#,
        &[r#"`z` can fail, and nothing reads `z::Err`
help: add a sink with `from = z::Err`, or give `on_error = stop` or `on_error = drop`"#],
    );
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, breaker(on_open = nack), on_error = drop)] fn z(x: u8) -> Result<(), E> {}
     }"#,
        &[
            r#"`on_open = nack` of `z` gives items back to `a`, which cannot give them again
help: write `on_open = hold`, which keeps them until the breaker lets them through, or let `a` be polled, with `acks` and a state that is `Rewind`"#,
        ],
    );
    check(
        r#"#[pipeline(reply = a)] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a)] fn z(x: u8) {}
     }"#,
        &[r#"`a` is not reached from `input`
help: let a stage on the way to it read `input`, or name another stage"#],
    );
    check(
        r#"#[pipeline(jemalloc(arenas = 4))] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a)] fn z(x: u8) {}
     }"#,
        &[r#"`#[pipeline]` has no option `jemalloc`
help: a program has one allocator, which is set up when it is linked: write `pipewright::jemalloc_conf!("narenas:4");` in its `main.rs`"#],
    );
}
