//! Arguments of an attribute: `key = value`, `key`, `key(a = b)`, in any order, every problem reported.
//!
//! This is the grammar only; what keys mean is in [`crate::options`].

use pipewright_spec::{
    options::{Key, info},
    report::Problem,
};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Expr, Ident, LitStr, Token, Type,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use crate::{errors::Errors, item::plain, place::Place};

/// One argument.
pub(crate) struct Arg {
    /// Its name as written, without `r#`.
    pub(crate) key: String,
    /// Where the name is written.
    pub(crate) span: Span,
    /// What follows the name.
    pub(crate) value: Value,
}

/// What an argument holds.
pub(crate) enum Value {
    /// `key`
    Flag,
    /// `key = value`
    Expr(Box<Expr>),
    /// `env = Type`
    Type(Box<Type>),
    /// `key = use`: a word that is no expression
    Word(Ident),
    /// `key(a = b, ..)`
    List(Vec<Arg>, Span),
}

/// Arguments of `#[pipeline]`: an optional path of a file goes first.
pub(crate) struct PipelineArgs {
    /// The path literal.
    pub(crate) file: Option<LitStr>,
    /// Everything after it.
    pub(crate) args: Vec<Arg>,
}

/// Reads the arguments of `#[stage]`, `#[source]` or `#[sink]`.
pub(crate) fn stage_args(tokens: TokenStream, errors: &mut Errors) -> Vec<Arg> {
    let parser = |input: ParseStream<'_>| Ok(args(input, errors));
    parser.parse2(tokens).unwrap_or_default()
}

/// Reads the arguments of `#[pipeline]`.
pub(crate) fn pipeline_args(tokens: TokenStream, errors: &mut Errors) -> PipelineArgs {
    let parser = |input: ParseStream<'_>| {
        let file = if input.peek(LitStr) {
            input.parse().ok()
        } else {
            None
        };
        if file.is_some() {
            separator(input, errors);
        }
        Ok(PipelineArgs {
            file,
            args: args(input, errors),
        })
    };
    parser.parse2(tokens).unwrap_or(PipelineArgs {
        file: None,
        args: Vec::new(),
    })
}

fn args(input: ParseStream<'_>, errors: &mut Errors) -> Vec<Arg> {
    let mut found: Vec<Arg> = Vec::new();
    while !input.is_empty() {
        match arg(input, errors) {
            Some(arg) => {
                match found.iter().find(|other| other.key == arg.key) {
                    Some(first) => twice(&arg, first, errors),
                    None => found.push(arg),
                }
                separator(input, errors);
            }
            None => skip_to_comma(input),
        }
    }
    found
}

fn twice(arg: &Arg, first: &Arg, errors: &mut Errors) {
    errors.push(Problem::twice(
        &arg.key,
        Place::Rust(arg.span),
        Place::Rust(first.span),
    ));
}

fn arg(input: ParseStream<'_>, errors: &mut Errors) -> Option<Arg> {
    let span = input.span();
    let Ok(key) = input.call(Ident::parse_any) else {
        let found = input
            .cursor()
            .token_tree()
            .map(|(token, _)| token.to_string())
            .unwrap_or_default();
        errors.at(
            "E_SYNTAX",
            span,
            format!("expected an option like `batch = 64`, found `{found}`"),
        );
        return None;
    };
    let (name, span) = (plain(&key), key.span());
    let value = value(input, &name, span, errors)?;
    Some(Arg {
        key: name,
        span,
        value,
    })
}

fn value(input: ParseStream<'_>, name: &str, key: Span, errors: &mut Errors) -> Option<Value> {
    if input.peek(Token![=]) {
        let equals: Option<Token![=]> = input.parse().ok();
        // A type with generics is no expression.
        if name == info(Key::Env).name && input.fork().parse::<Type>().is_ok() {
            return input.parse().ok().map(|ty| Value::Type(Box::new(ty)));
        }
        if let Some(word) = keyword(input) {
            return Some(Value::Word(word));
        }
        return match input.parse::<Expr>() {
            Ok(expr) => Some(Value::Expr(Box::new(expr))),
            Err(_) => {
                let span = equals.map_or(key, |e| e.span());
                errors.at(
                    "E_SYNTAX",
                    span,
                    format!("`{name}` needs a value after `=`"),
                );
                None
            }
        };
    }
    if input.peek(syn::token::Paren) {
        let (content, span) = parenthesized(input)?;
        return Some(Value::List(args(&content, errors), span));
    }
    Some(Value::Flag)
}

/// A word that Rust keeps for itself and that is no expression, such as the `use` of `smt = use`.
fn keyword(input: ParseStream<'_>) -> Option<Ident> {
    let ahead = input.fork();
    ahead.call(Ident::parse_any).ok()?;
    let alone = ahead.is_empty() || ahead.peek(Token![,]);
    if !alone || input.fork().parse::<Expr>().is_ok() {
        return None;
    }
    input.call(Ident::parse_any).ok()
}

fn parenthesized<'i>(input: ParseStream<'i>) -> Option<(syn::parse::ParseBuffer<'i>, Span)> {
    let parse = || -> syn::Result<_> {
        let content;
        let paren = syn::parenthesized!(content in input);
        Ok((content, paren.span.join()))
    };
    parse().ok()
}

/// Takes the comma between two arguments; what stands there instead is reported and passed over.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    let found = input
        .cursor()
        .token_tree()
        .map(|(token, _)| token.to_string())
        .unwrap_or_default();
    errors.at(
        "E_SYNTAX",
        input.span(),
        format!("expected `,`, found `{found}`"),
    );
    skip_to_comma(input);
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() {
        match input.parse::<TokenTree>() {
            Ok(TokenTree::Punct(punct)) if punct.as_char() == ',' => break,
            Ok(_) => {}
            Err(_) => break,
        }
    }
}

impl Arg {
    /// The expression of `key = value`.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match &self.value {
            Value::Expr(expr) => Some(expr),
            _ => None,
        }
    }

    /// The place of the value, or of the key where there is none.
    pub(crate) fn value_span(&self) -> Span {
        match &self.value {
            Value::Flag => self.span,
            Value::Expr(expr) => expr.span(),
            Value::Type(ty) => ty.span(),
            Value::Word(word) => word.span(),
            Value::List(_, span) => *span,
        }
    }
}
