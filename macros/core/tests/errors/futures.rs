//! What an `async fn` cannot take and give, in the user's words.

use super::check;

#[test]
fn a_future_owns_its_item_and_shares_the_environment() {
    for good in [
        "#[stage] async fn f(x: u8) -> u8 { x }",
        "#[stage] async fn f(x: u8, env: &Env) -> Result<Option<u8>, E> { Ok(Some(x)) }",
        "#[sink(in_flight = 4)] async fn f(x: u8, env: &Env) -> Result<(), E> { Ok(()) }",
        "#[sink] async fn f(letter: DeadLetter<E, u8>) {}",
    ] {
        check(good, &[]);
    }
    check(
        "#[stage] async fn f(x: &Tx) -> bool { true }",
        &[r#"a future cannot borrow its item, and `f` takes `&Tx`
help: take `Tx`, and return `Option<Tx>` to filter"#],
    );
    check(
        "#[stage] async fn f(x: &mut Tx) {}",
        &[r#"a future cannot borrow its item, and `f` takes `&mut Tx`
help: take `Tx`, and return it"#],
    );
    check(
        "#[stage(batch = 64)] async fn f(xs: &mut Batch<Tx>) {}",
        &[
            r#"a future cannot borrow the batch across `.await`, and `f` takes many items
help: take one item: `Tx`; `in_flight` says how many futures are under way at once"#,
        ],
    );
}

#[test]
fn a_future_cannot_borrow_what_others_use() {
    check(
        "#[stage] async fn f(x: u8, book: &mut Book) -> u8 { x }",
        &[
            r#"a future cannot borrow the state `Book`: others of the stage are under way beside it
help: put it into the environment, behind a lock or in atomics, or keep it in a plain `fn` before or behind"#,
        ],
    );
    check(
        "#[stage] async fn f(x: u8, out: &mut Emit<u8>) {}",
        &[
            r#"a future cannot borrow the `Emit`, which other futures of the stage use, too
help: return what it sends; for many, return a `Vec` and take it apart in the next stage"#,
        ],
    );
    check(
        "#[stage] async fn f(x: u8) -> impl Iterator<Item = u8> { 0..x }",
        &[r#"a future gives one value, which has to have a name
help: return a `Vec<T>`, and take it apart in the next stage: `fn each(items: Vec<T>) -> impl Iterator<Item = T>`"#],
    );
}

#[test]
fn a_source_is_no_future() {
    check(
        "#[source] async fn f() -> impl Iterator<Item = u8> { 0..9 }",
        &[r#"a source is polled or iterates, and is no `async fn`
help: take `&mut Emit<T>`, and return `Flow`; what arrives by tasks is sent to a stage with `from = input`"#],
    );
}

#[test]
fn the_pool_polls_futures() {
    check(
        r#"#[pipeline] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a, cores = "1")] async fn z(x: u8) {}
     }"#,
        &[
            r#"`cores` of `z`, which is an `async fn`: its futures are polled by the workers of the pool, whichever is free
help: remove `cores`; what computes for long goes on a stage of its own"#,
        ],
    );
}
