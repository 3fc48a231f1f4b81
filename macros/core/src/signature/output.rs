//! Return types to what a stage gives.

use pipewright_spec::model::{Gives, Kind, Takes};
use proc_macro2::Span;
use syn::{ReturnType, Type, parse_quote};

use super::{
    params::{Params, borrowed, open_type},
    types::{bare, borrowed_part, generics_of, impl_item, is_plain, is_unit, shown, span_of},
};
use crate::{errors::Errors, item::MaybeItemFn};

/// What goes out.
pub(crate) struct Output {
    pub(crate) gives: Gives,
    pub(crate) out: Type,
    pub(crate) err: Option<Type>,
}

/// A return type, taken apart but not yet judged.
enum Returned<'t> {
    Unit,
    One(&'t Type),
    Option(&'t Type),
    Result { ok: &'t Type, err: &'t Type },
    Many(&'t Type),
    Split(&'t Type),
}

pub(crate) fn read(
    kind: Kind,
    item: &MaybeItemFn,
    params: &Params,
    errors: &mut Errors,
) -> Option<Output> {
    let before = errors.len();
    let returned = returned(&item.sig.output, errors)?;
    let output = match kind {
        Kind::Source => source(item, params, &returned, errors),
        Kind::Sink => sink(item, params, &returned, errors),
        _ => stage(item, params, &returned, errors),
    };
    let output = output.filter(|_| errors.len() == before)?;
    let borrows = [Some(&output.out), output.err.as_ref()]
        .into_iter()
        .flatten();
    for (ty, at) in borrows.filter_map(|ty| Some((ty, borrowed_part(ty)?))) {
        borrowed(ty, at, errors);
    }
    (errors.len() == before).then_some(output)
}

fn returned<'t>(output: &'t ReturnType, errors: &mut Errors) -> Option<Returned<'t>> {
    let ReturnType::Type(_, ty) = output else {
        return Some(Returned::Unit);
    };
    let ty = bare(ty);
    if is_unit(ty) {
        return Some(Returned::Unit);
    }
    for (name, many) in [("Iterator", true), ("Splittable", false)] {
        match impl_item(ty, name) {
            Some(Ok(of)) => {
                return Some(if many {
                    Returned::Many(of)
                } else {
                    Returned::Split(of)
                });
            }
            Some(Err(at)) => {
                errors
                    .at(
                        "E_OPEN_TYPE",
                        at,
                        format!("`{name}` needs the type of its items here"),
                    )
                    .help(format!("write `impl {name}<Item = T>`"));
                return None;
            }
            None => {}
        }
    }
    if let Some(generics) = generics_of(ty, "Result") {
        return result(ty, &generics, errors);
    }
    if let Some([of]) = generics_of(ty, "Option").as_deref() {
        return closed(of, errors).map(Returned::Option);
    }
    closed(ty, errors).map(Returned::One)
}

fn result<'t>(ty: &'t Type, generics: &[&'t Type], errors: &mut Errors) -> Option<Returned<'t>> {
    match generics {
        [ok, err] => Some(Returned::Result {
            ok: closed(ok, errors)?,
            err: closed(err, errors)?,
        }),
        _ => {
            let shown = shown(ty);
            errors
                .at(
                    "E_RESULT_ERROR",
                    span_of(ty),
                    format!(
                        "`{shown}` does not say its error type, which is the type of the `Err` door"
                    ),
                )
                .help("write `Result<T, E>`");
            None
        }
    }
}

/// Refuses `impl Trait`, `_` and `!` where a concrete type is needed.
fn closed<'t>(ty: &'t Type, errors: &mut Errors) -> Option<&'t Type> {
    if let Some(at) = open_type(ty) {
        let shown = shown(ty);
        let error = errors.at(
            "E_OPEN_TYPE",
            at,
            format!("a stage sends one concrete type; `{shown}` is open"),
        );
        if impl_item(ty, "Iterator").is_some() {
            error
                .help("to send many and be able to fail or to send none, take `out: &mut Emit<T>`");
        } else {
            error.help("name the type, or return `impl Iterator<Item = T>` to send many");
        }
        return None;
    }
    if let Type::Never(never) = bare(ty) {
        errors.at(
            "E_OPEN_TYPE",
            never.bang_token.span,
            "a stage returns; `!` never does",
        );
        return None;
    }
    Some(ty)
}

fn source(
    item: &MaybeItemFn,
    params: &Params,
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    let name = item.name();
    match (returned, &params.emit) {
        (Returned::One(ty), Some((out, _))) if is_plain(ty, "Flow") => {
            Some(plain(Gives::Flow, out))
        }
        (Returned::One(ty), None) if is_plain(ty, "Flow") => {
            errors
                .at(
                    "E_SOURCE_RETURN",
                    span_of(ty),
                    format!("`{name}` returns `Flow` and has no way to send"),
                )
                .help("add a parameter `out: &mut Emit<T>`");
            None
        }
        (Returned::One(ty), None) if is_single(ty) => {
            no_source(item, errors);
            None
        }
        (Returned::Many(_) | Returned::Split(_) | Returned::One(_), None) => {
            whole(params, returned, errors)
        }
        _ => {
            no_source(item, errors);
            None
        }
    }
}

fn no_source(item: &MaybeItemFn, errors: &mut Errors) {
    let name = item.name();
    errors
        .at("E_SOURCE_RETURN", return_span(item), "a source returns `Flow` (with `Emit`) or `impl Iterator<Item = T>`")
        .help(format!("write `fn {name}(out: &mut Emit<T>) -> Flow` or `fn {name}() -> impl Iterator<Item = T>`"));
}

/// `true` for a type that is one item for sure, and nothing that can be cut.
fn is_single(ty: &Type) -> bool {
    const SINGLE: [&str; 17] = [
        "bool", "char", "String", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32",
        "i64", "i128", "isize", "f32", "f64",
    ];
    SINGLE.iter().any(|name| is_plain(ty, name))
}

/// A source that is called once: an iterator, or something that workers cut pieces from.
fn whole(params: &Params, returned: &Returned<'_>, errors: &mut Errors) -> Option<Output> {
    if let Some(state) = &params.state {
        errors
            .at(
                "E_SOURCE_STATE",
                span_of(state),
                "a source that returns its items keeps its state in what it returns",
            )
            .help("take `&mut S` away, or return `Flow` and take `&mut Emit<T>`");
        return None;
    }
    Some(match returned {
        Returned::Many(of) => plain(Gives::Many, of),
        Returned::Split(of) => plain(Gives::Splittable, of),
        Returned::One(ty) => {
            let cut: Type = parse_quote!(<#ty as ::pipewright::__private::IntoSplittable>::Whole);
            plain(
                Gives::Splittable,
                &parse_quote!(<#cut as ::pipewright::__private::Splittable>::Item),
            )
        }
        _ => return None,
    })
}

fn sink(
    item: &MaybeItemFn,
    params: &Params,
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    let name = item.name();
    if let Some((_, span)) = &params.emit {
        errors
            .at(
                "E_SINK_SENDS",
                *span,
                format!("`{name}` is a sink and has an `Emit`"),
            )
            .help("use `#[stage]`, or take the parameter away");
        return None;
    }
    if let Some((ok, err)) = verdicts(params, returned).filter(|(ok, _)| is_unit(ok)) {
        return Some(Output {
            gives: Gives::Judged,
            out: ok.clone(),
            err: Some(err.clone()),
        });
    }
    match returned {
        Returned::Unit => Some(plain(Gives::Unit, &unit())),
        Returned::Result { ok, err } if is_unit(ok) && !is_batch(params) => Some(Output {
            gives: Gives::UnitResult,
            out: unit(),
            err: Some((*err).clone()),
        }),
        Returned::Result { ok, .. } if is_unit(ok) => {
            batch_fails(item, errors);
            None
        }
        _ => {
            let shown = return_shown(item);
            errors
                .at(
                    "E_SINK_RETURNS",
                    return_span(item),
                    format!("`{name}` is a sink and returns `{shown}`"),
                )
                .help("use `#[stage]`, or return `()` or `Result<(), E>`");
            None
        }
    }
}

fn stage(
    item: &MaybeItemFn,
    params: &Params,
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    if let Some((out, span)) = &params.emit {
        return emitting(item, params, (out, *span), returned, errors);
    }
    if let Some((ok, err)) = verdicts(params, returned) {
        let (gives, out) = match is_unit(ok) {
            true => (Gives::Judged, params.item.clone()),
            false => (Gives::Verdicts, ok.clone()),
        };
        return Some(Output {
            gives,
            out,
            err: Some(err.clone()),
        });
    }
    match params.takes {
        Takes::Item => by_value(returned, item, errors),
        Takes::ItemRef => filter(item, params, returned, errors),
        Takes::Slice => {
            let (name, of) = (item.name(), shown(&params.item));
            errors
                .at("E_SLICE_SENDS", params.item_span, format!("`{name}` reads a batch and has no way to send"))
                .help(format!("add `out: &mut Emit<T>`; to change the batch take `&mut [{of}]` or `&mut Batch<{of}>`"))
                .help(format!("in a stage `&[{of}]` is a batch of `{of}`; one buffer is a `Vec<{of}>`"));
            None
        }
        _ => in_place(item, params, returned, errors),
    }
}

/// `T` and `E` of `Vec<Result<T, E>>`, which a batch stage returns: one for each item.
fn verdicts<'t>(params: &Params, returned: &Returned<'t>) -> Option<(&'t Type, &'t Type)> {
    let Returned::One(ty) = returned else {
        return None;
    };
    let [of] = *generics_of(ty, "Vec")?.as_slice() else {
        return None;
    };
    match *generics_of(of, "Result")?.as_slice() {
        [ok, err] if is_batch(params) => Some((ok, err)),
        _ => None,
    }
}

fn by_value(returned: &Returned<'_>, item: &MaybeItemFn, errors: &mut Errors) -> Option<Output> {
    match returned {
        Returned::Unit => Some(plain(Gives::Unit, &unit())),
        Returned::One(out) => Some(plain(Gives::One, out)),
        Returned::Option(out) => Some(plain(Gives::Option, out)),
        Returned::Many(out) => Some(plain(Gives::Many, out)),
        Returned::Result { ok, err } => {
            let (gives, out) = match generics_of(ok, "Option").as_deref() {
                Some([of]) => (Gives::ResultOption, closed(of, errors)?),
                _ => (Gives::Result, *ok),
            };
            Some(Output {
                gives,
                out: out.clone(),
                err: Some((*err).clone()),
            })
        }
        Returned::Split(_) => {
            errors
                .at(
                    "E_SPLIT_STAGE",
                    return_span(item),
                    "`Splittable` is what a source returns",
                )
                .help("return `impl Iterator<Item = T>` to send many");
            None
        }
    }
}

fn emitting(
    item: &MaybeItemFn,
    params: &Params,
    emit: (&Type, Span),
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    if !matches!(params.takes, Takes::Item | Takes::Slice) {
        errors
            .at(
                "E_EMIT_IN_PLACE",
                emit.1,
                "what is changed in place is passed on, so there is nothing to emit",
            )
            .help("take the item by value, or the batch as `&[T]`");
        return None;
    }
    match returned {
        Returned::Unit => Some(plain(Gives::Emit, emit.0)),
        Returned::Result { ok, .. } if is_unit(ok) && is_batch(params) => {
            batch_fails(item, errors);
            None
        }
        Returned::Result { ok, err } if is_unit(ok) => Some(Output {
            gives: Gives::EmitResult,
            out: emit.0.clone(),
            err: Some((*err).clone()),
        }),
        _ => {
            errors
                .at(
                    "E_EMIT_RETURNS",
                    return_span(item),
                    "a stage sends by `Emit` or by its return value, not by both",
                )
                .help("return nothing, or `Result<(), E>`; or take the `Emit` away");
            None
        }
    }
}

fn filter(
    item: &MaybeItemFn,
    params: &Params,
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    match returned {
        Returned::One(ty) if is_plain(ty, "bool") => Some(plain(Gives::Keep, &params.item)),
        _ => {
            let (name, of) = (item.name(), shown(&params.item));
            errors
                .at(
                    "E_FILTER_RETURN",
                    return_span(item),
                    format!("`{name}` borrows its item, so it is a filter and returns `bool`"),
                )
                .help(format!("return `bool`, or take the item by value: `{of}`"));
            None
        }
    }
}

fn in_place(
    item: &MaybeItemFn,
    params: &Params,
    returned: &Returned<'_>,
    errors: &mut Errors,
) -> Option<Output> {
    if matches!(returned, Returned::Unit) {
        return Some(plain(Gives::Unit, &params.item));
    }
    let (name, of) = (item.name(), shown(&params.item));
    let what = if is_batch(params) {
        "its batch"
    } else {
        "its item"
    };
    let help = if is_batch(params) {
        format!("return nothing; to send something else take `&[{of}]` and `out: &mut Emit<T>`")
    } else {
        format!("return nothing, or take the item by value: `{of}`")
    };
    errors
        .at(
            "E_IN_PLACE_RETURN",
            return_span(item),
            format!("`{name}` changes {what} in place and passes it on, so it returns nothing"),
        )
        .help(help);
    None
}

fn batch_fails(item: &MaybeItemFn, errors: &mut Errors) {
    errors
        .at(
            "E_BATCH_FAILS",
            return_span(item),
            format!(
                "`{}` takes a batch, which does not fail as a whole",
                item.name()
            ),
        )
        .help("return a verdict on each item, in their order: `Vec<Result<T, E>>`, where `T` is what is sent, or `()` for the item itself");
}

fn is_batch(params: &Params) -> bool {
    matches!(params.takes, Takes::Batch | Takes::Slice | Takes::SliceMut)
}

fn plain(gives: Gives, out: &Type) -> Output {
    Output {
        gives,
        out: out.clone(),
        err: None,
    }
}

fn unit() -> Type {
    parse_quote!(())
}

fn return_span(item: &MaybeItemFn) -> Span {
    match &item.sig.output {
        ReturnType::Type(_, ty) => span_of(ty),
        ReturnType::Default => item.span(),
    }
}

fn return_shown(item: &MaybeItemFn) -> String {
    match &item.sig.output {
        ReturnType::Type(_, ty) => shown(ty),
        ReturnType::Default => "()".to_owned(),
    }
}
