//! What an `async fn` may take and give: its future outlives the call, and others of its stage are under way beside it.

use pipewright_spec::model::{Kind, Takes};
use proc_macro2::Span;
use syn::{ReturnType, Type, spanned::Spanned};

use super::{
    params::Params,
    types::{bare, shown, span_of},
};
use crate::{errors::Errors, item::MaybeItemFn};

/// Reports what a future cannot borrow, and what it cannot give. `token` is the place of `async`.
pub(super) fn check(
    kind: Kind,
    item: &MaybeItemFn,
    params: &Params,
    token: Span,
    errors: &mut Errors,
) {
    if kind == Kind::Source {
        errors
            .at("E_ASYNC", token, "a source is polled or iterates, and is no `async fn`")
            .help("take `&mut Emit<T>`, and return `Flow`; what arrives by tasks is sent to a stage with `from = input`");
        return;
    }
    takes(item, params, errors);
    if let Some((_, span)) = &params.emit {
        errors
            .at("E_ASYNC", *span, "a future cannot borrow the `Emit`, which other futures of the stage use, too")
            .help("return what it sends; for many, return a `Vec` and take it apart in the next stage");
    }
    if let Some(state) = &params.state {
        errors
            .at(
                "E_ASYNC",
                span_of(state),
                format!(
                    "a future cannot borrow the state `{}`: others of the stage are under way beside it",
                    shown(state)
                ),
            )
            .help("put it into the environment, behind a lock or in atomics, or keep it in a plain `fn` before or behind");
    }
    gives(item, errors);
}

/// The item belongs to the future.
fn takes(item: &MaybeItemFn, params: &Params, errors: &mut Errors) {
    let (name, of) = (item.name(), shown(&params.item));
    let (what, help) = match params.takes {
        Takes::Item | Takes::Nothing => return,
        Takes::ItemRef => (
            format!("a future cannot borrow its item, and `{name}` takes `&{of}`"),
            format!("take `{of}`, and return `Option<{of}>` to filter"),
        ),
        Takes::ItemMut => (
            format!("a future cannot borrow its item, and `{name}` takes `&mut {of}`"),
            format!("take `{of}`, and return it"),
        ),
        Takes::Batch | Takes::SliceMut | Takes::Slice => (
            format!(
                "a future cannot borrow the batch across `.await`, and `{name}` takes many items"
            ),
            format!(
                "take one item: `{of}`; `in_flight` says how many futures are under way at once"
            ),
        ),
    };
    errors.at("E_ASYNC", params.item_span, what).help(help);
}

/// One result for each item.
fn gives(item: &MaybeItemFn, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &item.sig.output else {
        return;
    };
    if let Type::ImplTrait(open) = bare(ty) {
        errors
            .at(
                "E_ASYNC",
                open.span(),
                "a future gives one value, which has to have a name",
            )
            .help("return a `Vec<T>`, and take it apart in the next stage: `fn each(items: Vec<T>) -> impl Iterator<Item = T>`");
    }
}
