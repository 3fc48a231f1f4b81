//! `dry`, which tells a dry run how each stage is called, copied and routed. The links are in the topology.

use pipewright_spec::model::StateKind;
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{
    flow::{hygienic, route_type},
    pipe::{Output, Pipe, mixed},
};

/// The method of `Blueprint`.
pub(crate) fn dry(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let mut lines = TokenStream::new();
    for stage in 0..pipe.nodes.len() {
        if !pipe.plan.sources.contains(&stage) {
            lines.extend(call(pipe, stage));
        }
        lines.extend(copies(pipe, stage));
        lines.extend(routes(pipe, stage));
    }
    hygienic! {
        fn dry(a: &mut #rt::DryAssembly<Self>) {
            #lines
        }
    }
}

fn call(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let rt = pipe.rt();
    let node = &pipe.nodes[stage];
    let (ident, id) = (&node.ident, &node.id);
    let verb = match (node.state, node.is_batch()) {
        (StateKind::Keyed, _) => "keyed",
        (StateKind::None, false) => "plain",
        (StateKind::None, true) => "batch",
        (_, false) => "stateful",
        (_, true) => "stateful_batch",
    };
    let verb = mixed(verb);
    let env = match &node.sig.env {
        Some(env) => {
            let span = syn::spanned::Spanned::span(env).resolved_at(Span::mixed_site());
            quote_spanned!(span=> #rt::env_for::<#ident, _>)
        }
        None => hygienic!(#rt::no_env),
    };
    hygienic!(a.#verb::<#ident>(#id, #env);)
}

/// Outputs with several readers.
fn copies(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let rt = pipe.rt();
    let node = &pipe.nodes[stage];
    let (ident, id) = (&node.ident, &node.id);
    let several = |door| pipe.copy_span(Output { stage, door });
    let mut lines = TokenStream::new();
    let mut line = |verb: &str, of: &str, span: Option<Span>| {
        if let Some(span) = span {
            let (verb, ty, producer) = (mixed(verb), pipe.projection_at(stage, of, span), pipe.marker_at(stage, span));
            let copy = quote_spanned!(span=> #rt::copy::<#ty, #producer>);
            lines.extend(hygienic!(a.#verb::<#ident>(#id, #copy);));
        }
    };
    line("copies", "Out", several(None));
    line("err_copies", "Err", several(Some("Err")).filter(|_| node.fallible()));
    lines
}

/// The door that each variant leaves by.
fn routes(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let rt = pipe.rt();
    let variants = pipe.variants(stage);
    if variants.is_empty() {
        return TokenStream::new();
    }
    let (ident, id, ty) = (&pipe.nodes[stage].ident, &pipe.nodes[stage].id, route_type(pipe, stage));
    let arms = variants.into_iter().map(|(door, span)| {
        let variant = super::pipe::spanned(door, span);
        hygienic!(#ty::#variant(x) => #rt::routed(#door, x),)
    });
    let x = quote_spanned!(ident.span().resolved_at(Span::mixed_site())=> x);
    hygienic!(a.routes::<#ident>(#id, |x| match #x { #(#arms)* });)
}
