//! The attribute macros of pipewright.
//!
//! This package is a shell: it reads the file that `#[pipeline("..")]` names, and everything else is done by
//! `pipewright-macros-core`. Use the macros through the `pipewright` package.

#![forbid(unsafe_code)]

mod files;

use pipewright_macros_core::{Kind, expand_pipeline, expand_stage};
use proc_macro::TokenStream;

/// Makes a pipeline of a module with stages.
///
/// ```ignore
/// #[pipeline(env = Env)]
/// pub mod orders {
///     use super::*;
///
///     #[source]
///     pub fn ingest(env: &Env) -> impl Iterator<Item = Order> { env.orders() }
///
///     #[stage(from = ingest)]
///     pub fn price(order: Order) -> Result<Priced, PriceError> { order.price() }
///
///     #[sink(from = price)]
///     pub fn deliver(priced: Priced, env: &Env) { env.deliver(priced) }
///
///     #[sink(from = price::Err)]
///     pub fn reject(error: PriceError) { eprintln!("{error}") }
/// }
///
/// let report = orders::pipeline().start(env)?.wait()?;
/// ```
///
/// The module gets a type `Pipeline` and a function `pipeline()`. Its functions stay what they are, so they can be
/// called and tested as before.
///
/// One of the stages that read `input`, the stage that answers calls, and the last whose errors callers see are `pub`: they say
/// what goes in and what comes out.
///
/// A stage may stand in another module of the same crate, under its attribute; the pipeline brings it in by name:
/// `use crate::stages::{decode, publish as deliver};`. Types such as `Env` are those that the module sees.
///
/// # Options
///
/// `#[pipeline("orders.ron", ..)]` takes the shape and the numbers from a file beside the source file; a leading `/`
/// stands for the root of the package. The file is below the package or below the folder of the source file, also when links
/// are followed, and has at most 1 MiB. A key is given in the file or in an attribute, never in both.
///
#[doc = include_str!("pipeline-options.md")]
#[proc_macro_attribute]
pub fn pipeline(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand_pipeline(attr.into(), item.into(), &files::read).into()
}

/// Makes a stage of a function: it takes an item and passes on what it makes of it.
///
/// | first parameter | meaning |
/// |---|---|
/// | `x: T` | one item, by value |
/// | `x: &mut T` | one item, changed in place and passed on; returns nothing |
/// | `x: &T` | a filter; returns `bool`, and `true` passes the item on |
/// | `xs: &mut Batch<T>`, `xs: &mut [T]` | many items; what is left is passed on |
/// | `xs: &[T]` with `out: &mut Emit<O>` | many items, read to make others |
///
/// Later parameters: `&mut Emit<O>` sends any number of outputs, any other `&mut S` is state, any `&E` is the
/// environment.
///
/// | return type | meaning |
/// |---|---|
/// | `O` | one output |
/// | `Option<O>` | `None` drops the item, which is counted as filtered |
/// | `Result<O, E>`, `Result<Option<O>, E>` | an `Err` leaves by the door `stage::Err` |
/// | `impl Iterator<Item = O>` | many outputs |
/// | an enum | its variants are doors, if somebody reads `from = stage::Variant` |
///
/// These types are recognised as they are written; an alias hides them.
///
/// # Options
///
#[doc = include_str!("stage-options.md")]
///
#[doc = include_str!("group-options.md")]
///
/// # Prefetching
///
/// With `prefetch = ..` the memory that an item leads to is asked for when the item comes, and the stage is called with it
/// some items later. It pays where items lead to scattered memory that does not fit into the processor's cache: a lookup in a
/// large table, a walk over handles. What finds the memory returns a reference:
///
/// ```text
/// #[stage(from = parse, prefetch = Env::account)]                                 // fn account(&self, tx: &Tx) -> &Account
/// #[stage(from = parse, prefetch = account)]                                      // fn account<'e>(tx: &Tx, env: &'e Env) -> &'e Account
/// #[stage(from = parse, prefetch = |tx: &Tx, env: &Env| &env.accounts[tx.slot])]  // or `|tx: &Tx| &..`
/// #[stage(from = load, prefetch = 16)]                                            // items are `Box`, `Arc`, `&T`, ..: what they lead to
/// ```
///
/// It should compute an address and read nothing that may be far away. If it panics, the item does, as in the stage. A
/// function waits 31 items ahead, which is near the best of all distances where it was measured; a number says how many.
/// Order, results and counts are the same as without. In a dry run, where there is nothing to win, nothing is asked for.
#[proc_macro_attribute]
pub fn stage(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand_stage(Kind::Stage, attr.into(), item.into()).into()
}

/// Makes a source of a function: it makes items.
///
/// A source returns `impl Iterator<Item = T>`, something that workers cut pieces from (a range, a `Vec`, an `Arc<[T]>`,
/// or what implements `Splittable`), or `Flow`: then it takes `&mut Emit<T>` and is called again and again. It may take
/// `&E`, the environment; a source that returns `Flow` may take `&mut S`, its state.
///
/// The options are those of [`macro@stage`] that fit.
#[proc_macro_attribute]
pub fn source(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand_stage(Kind::Source, attr.into(), item.into()).into()
}

/// Makes a sink of a function: it takes items and ends their way.
///
/// It takes what a stage takes, and returns nothing or `Result<(), E>`. The options are those of [`macro@stage`] that
/// fit.
#[proc_macro_attribute]
pub fn sink(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand_stage(Kind::Sink, attr.into(), item.into()).into()
}

/// Ends the module of a pipeline that uses stages of other modules.
#[doc(hidden)]
#[proc_macro]
pub fn finish_pipeline(input: TokenStream) -> TokenStream {
    pipewright_macros_core::finish_pipeline(input.into(), &files::read).into()
}
