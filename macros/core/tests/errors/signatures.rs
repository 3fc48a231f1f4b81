//! Functions that cannot be stages.

use super::check;

#[test]
fn parameters_have_roles() {
    check(
        "#[stage] fn f() -> u8 { 1 }",
        &[r#"a stage takes the item as its first parameter
help: write `fn f(item: T)`; for no input use `#[source]`"#],
    );
    check(
        "#[stage] fn f(out: &mut Emit<u8>) {}",
        &[r#"a stage takes the item as its first parameter
help: write `fn f(item: T)`; for no input use `#[source]`"#],
    );
    check(
        "#[stage] fn f(x: impl Into<u8>) -> u8 { x.into() }",
        &[r#"a stage has one concrete type; `impl Into<u8>` is open
help: write a function for the type that flows here: `fn f_frame(x: Frame) -> .. { f(x) }`"#],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut A, b: &mut B) -> u8 { x }",
        &[r#"a stage has at most one `&mut` state
help: put both in a struct"#],
    );
    check(
        "#[stage] fn f(x: u8, a: &A, b: &B) -> u8 { x }",
        &[
            r#"a stage has at most one `&` parameter beside its item: the environment
help: put both in a struct and pass it as `env`"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut impl Book) -> u8 { x }",
        &[
            r#"the state of a stage has one concrete type, and `impl Book` is open
help: name the type"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8, a: &impl Env) -> u8 { x }",
        &[
            r#"the environment has one concrete type, and `impl Env` is open
help: name the type"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut Emit<u8>, b: &mut Emit<u8>) {}",
        &[r#"a stage has one `Emit`
help: send an enum, and let readers take its variants"#],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut Emit) {}",
        &[r#"`Emit` needs the type of what it sends
help: write `out: &mut Emit<T>`"#],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut Emit<u8>) -> u8 { 1 }",
        &[
            r#"a stage sends by `Emit` or by its return value, not by both
help: return nothing, or `Result<(), E>`; or take the `Emit` away"#,
        ],
    );
    check(
        "#[stage] fn f(x: &mut u8, a: &mut Emit<u8>) {}",
        &[
            r#"what is changed in place is passed on, so there is nothing to emit
help: take the item by value, or the batch as `&[T]`"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8, y: u8) -> u8 { x }",
        &[r#"a stage takes one item, and `f` also takes `u8` by value
help: put both in one item, or take `&mut S` (state) or `&E` (environment)"#],
    );
    check(
        "#[stage] fn f(x: _) -> u8 { 1 }",
        &[r#"a stage has one concrete type; `_` is open
help: write a function for the type that flows here: `fn f_frame(x: Frame) -> .. { f(x) }`"#],
    );
}

#[test]
fn a_stage_is_a_plain_function_of_concrete_types() {
    check(
        "#[stage] fn f(&self, x: u8) -> u8 { x }",
        &[r#"stages are free functions, and this one takes `self`
help: move the state to a `&mut S` parameter"#],
    );
    check(
        "#[stage] fn f<T>(x: T) -> T { x }",
        &[r#"a stage has one concrete type; `T` is open
help: write a function for the type that flows here: `fn f_frame(x: Frame) -> .. { f(x) }`"#],
    );
    check(
        "#[stage] fn f<const N: usize>(x: [u8; N]) -> u8 { 1 }",
        &[r#"a stage has one concrete type; `N` is open
help: write a function for the type that flows here: `fn f_frame(x: Frame) -> .. { f(x) }`"#],
    );
    check(
        "#[stage] fn f(letter: DeadLetter) {}",
        &[r#"a dead letter needs the type of its error
help: write `fn f(letter: DeadLetter<E>)`, or with the failed item `DeadLetter<E, T>`"#],
    );
    check(
        "#[stage] unsafe fn f(x: u8) -> u8 { x }",
        &[
            r#"a stage is an ordinary safe function, and this one is `unsafe`
help: take `unsafe` away, and put an `unsafe` block inside"#,
        ],
    );
    check(
        r#"#[stage] extern "C" fn f(x: u8) -> u8 { x }"#,
        &[r#"a stage is an ordinary function, and this one is `extern`
help: take `extern` away, and call the foreign function inside"#],
    );
    check(
        r#"#[stage] unsafe extern "C" fn f(x: u8, ...) -> u8 { x }"#,
        &[
            r#"a stage is an ordinary safe function, and this one is `unsafe`
help: take `unsafe` away, and put an `unsafe` block inside"#,
        ],
    );
}

#[test]
fn items_and_states_own_their_data() {
    check(
        "#[stage] fn f<'a>(x: Frame<'a>) -> u8 { 1 }",
        &[
            r#"items cross threads and own their data; `Frame<'a>` borrows
help: own it, or share it with `Arc`"#,
        ],
    );
    check(
        "#[stage] fn f(x: Cow<'_, str>) -> u8 { 1 }",
        &[
            r#"items cross threads and own their data; `Cow<'_, str>` borrows
help: own it, or share it with `Arc`"#,
        ],
    );
    check(
        r#"#[stage] fn f(x: u8) -> &str { "" }"#,
        &[r#"items cross threads and own their data; `&str` borrows
help: own it, or share it with `Arc`"#],
    );
    check(
        "#[stage] fn f(x: u8) -> impl Iterator<Item = &str> { [].into_iter() }",
        &[r#"items cross threads and own their data; `&str` borrows
help: own it, or share it with `Arc`"#],
    );
    check(
        "#[stage] fn f(x: u8) -> Result<u8, &str> { Ok(1) }",
        &[r#"items cross threads and own their data; `&str` borrows
help: own it, or share it with `Arc`"#],
    );
    check(
        "#[stage] fn f(x: u8, a: &mut Book<'_>) -> u8 { x }",
        &[
            r#"state lives as long as the pipeline and owns its data; `Book<'_>` borrows
help: own it, or share it with `Arc`"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8) -> Option<&str> { None }",
        &[r#"items cross threads and own their data; `&str` borrows
help: own it, or share it with `Arc`"#],
    );
    check(
        "#[stage] fn f(x: u8, out: &mut Emit<&str>) {}",
        &[r#"items cross threads and own their data; `&str` borrows
help: own it, or share it with `Arc`"#],
    );
}

#[test]
fn what_goes_out_fits_what_comes_in() {
    check(
        "#[stage] fn f(x: &u8) -> u8 { *x }",
        &[
            r#"`f` borrows its item, so it is a filter and returns `bool`
help: return `bool`, or take the item by value: `u8`"#,
        ],
    );
    check(
        "#[stage] fn f(x: &mut u8) -> u8 { *x }",
        &[
            r#"`f` changes its item in place and passes it on, so it returns nothing
help: return nothing, or take the item by value: `u8`"#,
        ],
    );
    check(
        "#[stage] fn f(x: &[u8]) {}",
        &[r#"`f` reads a batch and has no way to send
help: add `out: &mut Emit<T>`; to change the batch take `&mut [u8]` or `&mut Batch<u8>`
help: in a stage `&[u8]` is a batch of `u8`; one buffer is a `Vec<u8>`"#],
    );
    check(
        "#[stage] fn f(x: &[u8]) -> u8 { 1 }",
        &[r#"`f` reads a batch and has no way to send
help: add `out: &mut Emit<T>`; to change the batch take `&mut [u8]` or `&mut Batch<u8>`
help: in a stage `&[u8]` is a batch of `u8`; one buffer is a `Vec<u8>`"#],
    );
    check(
        "#[stage] fn f(x: &mut Batch<u8>) -> u8 { 1 }",
        &[
            r#"`f` changes its batch in place and passes it on, so it returns nothing
help: return nothing; to send something else take `&[u8]` and `out: &mut Emit<T>`"#,
        ],
    );
    check(
        "#[stage] fn f(x: &mut [u8]) -> Result<(), E> { Ok(()) }",
        &[
            r#"`f` changes its batch in place and passes it on, so it returns nothing
help: return nothing; to send something else take `&[u8]` and `out: &mut Emit<T>`"#,
        ],
    );
    check(
        "#[stage] fn f(x: &[u8], out: &mut Emit<u8>) -> Result<(), E> { Ok(()) }",
        &[r#"`f` takes a batch, which does not fail as a whole
help: return a verdict on each item, in their order: `Vec<Result<T, E>>`, where `T` is what is sent, or `()` for the item itself"#],
    );
    check(
        "#[stage] fn f(x: u8) -> io::Result<u8> { Ok(1) }",
        &[
            r#"`io::Result<u8>` does not say its error type, which is the type of the `Err` door
help: write `Result<T, E>`"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8) -> impl Iterator { [].into_iter() }",
        &[r#"`Iterator` needs the type of its items here
help: write `impl Iterator<Item = T>`"#],
    );
    check(
        "#[stage] fn f(x: u8) -> impl Display { 1 }",
        &[r#"a stage sends one concrete type; `impl Display` is open
help: name the type, or return `impl Iterator<Item = T>` to send many"#],
    );
    check(
        "#[stage] fn f(x: u8) -> Result<impl Iterator<Item = u8>, E> { Ok([].into_iter()) }",
        &[
            r#"a stage sends one concrete type; `impl Iterator<Item = u8>` is open
help: to send many and be able to fail or to send none, take `out: &mut Emit<T>`"#,
        ],
    );
    check(
        "#[stage] fn f(x: u8) -> ! { loop {} }",
        &["a stage returns; `!` never does"],
    );
}

#[test]
fn a_sink_sends_nothing() {
    check(
        "#[sink] fn f(x: &[u8]) -> Result<(), E> { Ok(()) }",
        &[r#"`f` takes a batch, which does not fail as a whole
help: return a verdict on each item, in their order: `Vec<Result<T, E>>`, where `T` is what is sent, or `()` for the item itself"#],
    );
    check(
        "#[sink] fn f(x: u8) -> u8 { x }",
        &[r#"`f` is a sink and returns `u8`
help: use `#[stage]`, or return `()` or `Result<(), E>`"#],
    );
    check(
        "#[sink] fn f(x: u8, out: &mut Emit<u8>) {}",
        &[r#"`f` is a sink and has an `Emit`
help: use `#[stage]`, or take the parameter away"#],
    );
    check(
        "#[sink] fn f(x: u8) -> Result<u8, E> { Ok(x) }",
        &[r#"`f` is a sink and returns `Result<u8, E>`
help: use `#[stage]`, or return `()` or `Result<(), E>`"#],
    );
}

#[test]
fn an_attribute_stands_once_and_on_a_function() {
    check(
        "#[stage] fn f(x: u8) -> impl Splittable<Item = u8> { 0..9 }",
        &[r#"`Splittable` is what a source returns
help: return `impl Iterator<Item = T>` to send many"#],
    );
    check(
        "#[stage] struct S;",
        &["`#[stage]` goes on a function, this is a `struct`"],
    );
    check(
        "#[stage] impl S {}",
        &["`#[stage]` goes on a function, this is an `impl`"],
    );
    check(
        "#[stage] #[sink] fn f(x: u8) -> u8 { x }",
        &[r#"`f` has two stage attributes
help: keep one of them"#],
    );
    check(
        "#[sink] enum E {}",
        &["`#[sink]` goes on a function, this is an `enum`"],
    );
    check(
        "#[source] mod m {}",
        &["`#[source]` goes on a function, this is a `mod`"],
    );
    check(
        "#[stage] const X: u8 = 1;",
        &["`#[stage]` goes on a function, this is a `const`"],
    );
}

#[test]
fn a_source_makes_items() {
    check(
        "#[source] fn f() -> Result<u8, E> { Ok(0) }",
        &[
            r#"a source returns `Flow` (with `Emit`) or `impl Iterator<Item = T>`
help: write `fn f(out: &mut Emit<T>) -> Flow` or `fn f() -> impl Iterator<Item = T>`"#,
        ],
    );
    check(
        "#[source] fn f() -> u8 { 0 }",
        &[
            r#"a source returns `Flow` (with `Emit`) or `impl Iterator<Item = T>`
help: write `fn f(out: &mut Emit<T>) -> Flow` or `fn f() -> impl Iterator<Item = T>`"#,
        ],
    );
    check(
        "#[source] fn f() {}",
        &[
            r#"a source returns `Flow` (with `Emit`) or `impl Iterator<Item = T>`
help: write `fn f(out: &mut Emit<T>) -> Flow` or `fn f() -> impl Iterator<Item = T>`"#,
        ],
    );
    check(
        "#[source] fn f() -> Flow { Flow::Done }",
        &[r#"`f` returns `Flow` and has no way to send
help: add a parameter `out: &mut Emit<T>`"#],
    );
    check(
        "#[source] fn f(x: u8) -> impl Iterator<Item = u8> { 0..9 }",
        &[r#"a source has no input, and `f` takes `u8`
help: take `&mut S` (state), `&E` (environment) or `&mut Emit<T>`; for an input use `#[stage]`"#],
    );
    check(
        "#[source] fn f(s: &mut S) -> impl Iterator<Item = u8> { 0..9 }",
        &[
            r#"a source that returns its items keeps its state in what it returns
help: take `&mut S` away, or return `Flow` and take `&mut Emit<T>`"#,
        ],
    );
}
