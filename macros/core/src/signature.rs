//! What a function says about its stage: the roles of its parameters, and what its return type sends.
//!
//! Types are recognised by the last segment of their path (`Option`, `Result`, `Emit`, `Batch`), as they are
//! written; an alias hides them.

mod future;
mod output;
mod params;
mod types;

use pipewright_spec::model::{Gives, Kind, Signature, StateKind, Takes};
use proc_macro2::Span;
use syn::{FnArg, Safety, Type};

use crate::{errors::Errors, item::MaybeItemFn};

pub(crate) use self::params::Role;

/// A stage function, understood.
#[derive(Clone)]
pub(crate) struct StageSig {
    /// How the item comes in.
    pub(crate) takes: Takes,
    /// How results go out.
    pub(crate) gives: Gives,
    /// What each parameter is, in order.
    pub(crate) params: Vec<Role>,
    /// The type of one item that comes in; `()` for a source.
    pub(crate) item: Type,
    /// Where the item type is written.
    pub(crate) item_span: Span,
    /// The type of one item that goes out; `()` for a sink.
    pub(crate) out: Type,
    /// The error type of a stage that can fail.
    pub(crate) err: Option<Type>,
    /// `S` of `&mut S`.
    pub(crate) state: Option<Type>,
    /// `E` of `&E`.
    pub(crate) env: Option<Type>,
    /// The `async` keyword.
    pub(crate) is_async: Option<Span>,
}

/// What a reader of `Err` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    /// The error.
    No,
    /// `DeadLetter<E>`.
    WithoutItem,
    /// `DeadLetter<E, T>`.
    WithItem,
}

impl StageSig {
    /// Reads the head of `item`. Every problem is reported; `None` says that there was one.
    pub(crate) fn read(kind: Kind, item: &MaybeItemFn, errors: &mut Errors) -> Option<StageSig> {
        let before = errors.len();
        check_head(item, errors);
        if errors.len() > before {
            return None;
        }
        let params = params::read(kind, item, errors)?;
        if let Some(token) = &item.sig.asyncness {
            future::check(kind, item, &params, token.span, errors);
            if errors.len() > before {
                return None;
            }
        }
        let output = output::read(kind, item, &params, errors)?;
        Some(StageSig {
            takes: params.takes,
            gives: output.gives,
            item: params.item,
            item_span: params.item_span,
            out: output.out,
            err: output.err,
            params: params.roles,
            state: params.state,
            env: params.env,
            is_async: item.sig.asyncness.map(|a| a.span),
        })
    }

    /// What it takes of a stage's `Err`.
    pub(crate) fn letter(&self) -> Letter {
        match types::generics_of(&self.item, "DeadLetter").map(|generics| generics.len()) {
            Some(1) => Letter::WithoutItem,
            Some(2) => Letter::WithItem,
            _ => Letter::No,
        }
    }

    /// The part that the model of a pipeline needs.
    pub(crate) fn model(&self, state: StateKind) -> Signature {
        Signature {
            takes: self.takes,
            gives: self.gives,
            state,
            env: self.env.is_some(),
            is_async: self.is_async.is_some(),
        }
    }

    /// `true` if the stage has a `&mut S`.
    pub(crate) fn has_state(&self) -> bool {
        self.state.is_some()
    }
}

/// Rules that need no look at parameters or the return type.
fn check_head(item: &MaybeItemFn, errors: &mut Errors) {
    let sig = &item.sig;
    if let Safety::Unsafe(token) = &sig.safety {
        errors
            .at(
                "E_PLAIN_FN",
                token.span,
                "a stage is an ordinary safe function, and this one is `unsafe`",
            )
            .help("take `unsafe` away, and put an `unsafe` block inside");
    } else if let Some(abi) = &sig.abi {
        errors
            .at(
                "E_PLAIN_FN",
                abi.extern_token.span,
                "a stage is an ordinary function, and this one is `extern`",
            )
            .help("take `extern` away, and call the foreign function inside");
    } else if let Some(variadic) = &sig.variadic {
        errors.at(
            "E_PLAIN_FN",
            variadic.dots.spans[0],
            "a stage is an ordinary function, and this one is variadic",
        );
    }
    check_generics(item, errors);
    check_receiver(item, errors);
}

fn check_generics(item: &MaybeItemFn, errors: &mut Errors) {
    for param in &item.sig.generics.params {
        let (name, span) = match param {
            syn::GenericParam::Lifetime(_) => continue,
            syn::GenericParam::Type(p) => (&p.ident, p.ident.span()),
            syn::GenericParam::Const(p) => (&p.ident, p.ident.span()),
        };
        let stage = item.name();
        errors.at("E_GENERIC", span, format!("a stage has one concrete type; `{name}` is open")).help(format!(
            "write a function for the type that flows here: `fn {stage}_frame(x: Frame) -> .. {{ {stage}(x) }}`"
        ));
    }
}

fn check_receiver(item: &MaybeItemFn, errors: &mut Errors) {
    if let Some(FnArg::Receiver(receiver)) = item.sig.inputs.first() {
        errors
            .at(
                "E_SELF",
                receiver.self_token.span,
                "stages are free functions, and this one takes `self`",
            )
            .help("move the state to a `&mut S` parameter");
    }
}
