//! Parameters to roles: the item comes first, `&mut Emit<O>` sends, any other `&mut S` is state, any `&E` is
//! the environment.

use pipewright_spec::model::{Kind, Takes};
use proc_macro2::Span;
use syn::{FnArg, PatType, Type, TypeReference, parse_quote};

use super::types::{bare, borrowed_part, generics_of, only_generic, shown, span_of};
use crate::{errors::Errors, item::MaybeItemFn};

/// What a parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The item, or the batch.
    Item,
    /// `&mut Emit<O>`.
    Emit,
    /// `&mut S`.
    State,
    /// `&E`.
    Env,
}

/// The parameters of a stage.
pub(crate) struct Params {
    pub(crate) takes: Takes,
    pub(crate) roles: Vec<Role>,
    pub(crate) item: Type,
    pub(crate) item_span: Span,
    pub(crate) emit: Option<(Type, Span)>,
    pub(crate) state: Option<Type>,
    pub(crate) env: Option<Type>,
}

pub(crate) fn read(kind: Kind, item: &MaybeItemFn, errors: &mut Errors) -> Option<Params> {
    let before = errors.len();
    let mut inputs = item.sig.inputs.iter().filter_map(|arg| match arg {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let mut params = Params {
        takes: Takes::Nothing,
        roles: Vec::new(),
        item: parse_quote!(()),
        item_span: item.span(),
        emit: None,
        state: None,
        env: None,
    };
    if kind != Kind::Source {
        params.first(item, inputs.next(), errors);
    }
    for typed in inputs {
        params.other(kind, item, typed, errors);
    }
    (errors.len() == before).then_some(params)
}

impl Params {
    /// The first parameter of a stage or a sink.
    fn first(&mut self, item: &MaybeItemFn, typed: Option<&PatType>, errors: &mut Errors) {
        let missing = typed.is_none_or(|t| emit_type(&t.ty).is_some());
        let Some(typed) = typed.filter(|_| !missing) else {
            errors
                .at(
                    "E_NO_ITEM",
                    item.sig.paren_token.span.open(),
                    "a stage takes the item as its first parameter",
                )
                .help(format!(
                    "write `fn {}(item: T)`; for no input use `#[source]`",
                    item.name()
                ));
            return;
        };
        let (takes, of) = item_of(&typed.ty);
        self.takes = takes;
        self.item = of.clone();
        self.item_span = span_of(&typed.ty);
        self.roles.push(Role::Item);
        check_item_type(item, of, errors);
    }

    /// Any later parameter, and every parameter of a source.
    fn other(&mut self, kind: Kind, item: &MaybeItemFn, typed: &PatType, errors: &mut Errors) {
        let span = span_of(&typed.ty);
        let Type::Reference(reference) = bare(&typed.ty) else {
            not_a_reference(kind, item, &typed.ty, errors);
            return;
        };
        if let Some(out) = emit_type(&typed.ty) {
            if reference.mutability.is_none() {
                errors
                    .at("E_EMIT_TYPE", span, "sending through `Emit` changes it")
                    .help("write `out: &mut Emit<T>`");
                return;
            }
            self.emit(out, span, errors);
        } else if reference.mutability.is_some() {
            self.state(reference, span, errors);
        } else {
            self.env(reference, span, errors);
        }
    }

    fn emit(&mut self, out: Option<&Type>, span: Span, errors: &mut Errors) {
        let Some(out) = out else {
            errors
                .at(
                    "E_EMIT_TYPE",
                    span,
                    "`Emit` needs the type of what it sends",
                )
                .help("write `out: &mut Emit<T>`");
            return;
        };
        if self.emit.is_some() {
            errors
                .at("E_TWO_EMITS", span, "a stage has one `Emit`")
                .help("send an enum, and let readers take its variants");
            return;
        }
        if let Some(at) = borrowed_part(out) {
            borrowed(out, at, errors);
        }
        self.roles.push(Role::Emit);
        self.emit = Some((out.clone(), span));
    }

    fn state(&mut self, reference: &TypeReference, span: Span, errors: &mut Errors) {
        if self.state.is_some() {
            errors
                .at("E_TWO_STATES", span, "a stage has at most one `&mut` state")
                .help("put both in a struct");
            return;
        }
        if let Some(at) = open_type(&reference.elem) {
            open("the state of a stage", &reference.elem, at, errors);
            return;
        }
        if let Some(at) = borrowed_part(&reference.elem) {
            errors
                .at(
                    "E_BORROWED_STATE",
                    at,
                    format!(
                        "state lives as long as the pipeline and owns its data; `{}` borrows",
                        shown(&reference.elem)
                    ),
                )
                .help("own it, or share it with `Arc`");
            return;
        }
        self.roles.push(Role::State);
        self.state = Some((*reference.elem).clone());
    }

    fn env(&mut self, reference: &TypeReference, span: Span, errors: &mut Errors) {
        if self.env.is_some() {
            errors
                .at(
                    "E_TWO_ENVS",
                    span,
                    "a stage has at most one `&` parameter beside its item: the environment",
                )
                .help("put both in a struct and pass it as `env`");
            return;
        }
        if let Some(at) = open_type(&reference.elem) {
            open("the environment", &reference.elem, at, errors);
            return;
        }
        self.roles.push(Role::Env);
        self.env = Some((*reference.elem).clone());
    }
}

/// `x: T`, `x: &mut T`, `x: &T`, and the three forms of a batch.
fn item_of(ty: &Type) -> (Takes, &Type) {
    let Type::Reference(reference) = bare(ty) else {
        return (Takes::Item, ty);
    };
    let of = bare(&reference.elem);
    match (of, reference.mutability.is_some()) {
        (Type::Slice(slice), true) => (Takes::SliceMut, &*slice.elem),
        (Type::Slice(slice), false) => (Takes::Slice, &*slice.elem),
        (_, true) => match only_generic(of, "Batch") {
            Some(item) => (Takes::Batch, item),
            None => (Takes::ItemMut, of),
        },
        (_, false) => (Takes::ItemRef, of),
    }
}

/// `Some(Some(O))` for `&mut Emit<O>`, `Some(None)` for an `Emit` without its type.
fn emit_type(ty: &Type) -> Option<Option<&Type>> {
    let Type::Reference(reference) = bare(ty) else {
        return None;
    };
    let generics = generics_of(&reference.elem, "Emit")?;
    Some(match generics.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

fn check_item_type(item: &MaybeItemFn, of: &Type, errors: &mut Errors) {
    let stage = item.name();
    if let Some(at) = open_type(of) {
        errors.at("E_GENERIC", at, format!("a stage has one concrete type; `{}` is open", shown(of))).help(format!(
            "write a function for the type that flows here: `fn {stage}_frame(x: Frame) -> .. {{ {stage}(x) }}`"
        ));
        return;
    }
    if let Some(generics) = generics_of(of, "DeadLetter")
        && !(1..=2).contains(&generics.len())
    {
        errors
            .at(
                "E_LETTER_TYPE",
                span_of(of),
                "a dead letter needs the type of its error",
            )
            .help(format!(
                "write `fn {stage}(letter: DeadLetter<E>)`, or with the failed item `DeadLetter<E, T>`"
            ));
        return;
    }
    if let Some(at) = borrowed_part(of) {
        borrowed(of, at, errors);
    }
}

/// Reports an item type that borrows.
pub(crate) fn borrowed(ty: &Type, at: Span, errors: &mut Errors) {
    errors
        .at(
            "E_BORROWED_ITEM",
            at,
            format!(
                "items cross threads and own their data; `{}` borrows",
                shown(ty)
            ),
        )
        .help("own it, or share it with `Arc`");
}

fn open(what: &str, ty: &Type, at: Span, errors: &mut Errors) {
    let shown = shown(ty);
    errors
        .at(
            "E_OPEN_TYPE",
            at,
            format!("{what} has one concrete type, and `{shown}` is open"),
        )
        .help("name the type");
}

/// The place of an `impl Trait` or `_`.
pub(crate) fn open_type(ty: &Type) -> Option<Span> {
    match bare(ty) {
        Type::ImplTrait(open) => Some(open.impl_token.span),
        Type::Infer(open) => Some(open.underscore_token.span),
        _ => None,
    }
}

fn not_a_reference(kind: Kind, item: &MaybeItemFn, ty: &Type, errors: &mut Errors) {
    let (stage, shown) = (item.name(), shown(ty));
    if kind == Kind::Source {
        errors
            .at("E_SOURCE_ITEM", span_of(ty), format!("a source has no input, and `{stage}` takes `{shown}`"))
            .help("take `&mut S` (state), `&E` (environment) or `&mut Emit<T>`; for an input use `#[stage]`");
    } else {
        errors
            .at(
                "E_EXTRA_ITEM",
                span_of(ty),
                format!("a stage takes one item, and `{stage}` also takes `{shown}` by value"),
            )
            .help("put both in one item, or take `&mut S` (state) or `&E` (environment)");
    }
}
