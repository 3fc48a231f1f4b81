//! `dry`, which tells a dry run how each stage is called, copied and routed. The links are in the topology.

use pipewright_spec::{model::StateKind, options::OnError, plan::INPUT};
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{
    flow::{hygienic, letter, route_type},
    pipe::{Node, Output, Pipe, mixed},
};

/// The method of `Blueprint`.
pub(crate) fn dry(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let mut lines = TokenStream::new();
    for (stage, node) in pipe.nodes.iter().enumerate() {
        if !pipe.plan.sources.contains(&stage) {
            lines.extend(call(pipe, node));
            lines.extend(stops(pipe, stage));
            lines.extend(super::guards::dry(pipe, stage));
        }
        lines.extend(copies(pipe, stage));
        lines.extend(routes(pipe, stage));
        lines.extend(letter::dry(pipe, stage));
        lines.extend(super::calls::dry(pipe, stage));
    }
    lines.extend(input_copies(pipe));
    let leaves = pipe
        .nodes
        .iter()
        .any(|node| node.state == StateKind::PerWorker);
    let traits = leaves.then(|| hygienic!(use #rt::{LeaveDropped as _, LeaveMerged as _};));
    let a = if lines.is_empty() {
        hygienic!(_)
    } else {
        hygienic!(a)
    };
    hygienic! {
        fn dry(#a: &mut #rt::DryAssembly<Self>) {
            #traits
            #lines
        }
    }
}

/// How a stage is called.
fn call(pipe: &Pipe<'_>, node: &Node<'_>) -> TokenStream {
    let rt = pipe.rt();
    let (ident, id, env) = (&node.ident, &node.id, env(pipe, node));
    let verb = match (node.state, node.is_batch()) {
        (StateKind::Keyed, _) => "keyed",
        (StateKind::None, false) => "plain",
        (StateKind::None, true) => "batch",
        (StateKind::Serial, false) => "stateful",
        (StateKind::Serial, true) => "stateful_batch",
        (StateKind::PerWorker, false) => "per_worker",
        (StateKind::PerWorker, true) => "per_worker_batch",
    };
    let verb = mixed(verb);
    if node.state != StateKind::PerWorker {
        return hygienic!(a.#verb::<#ident>(#id, #env););
    }
    hygienic! {
        a.#verb::<#ident>(#id, #env, |state, states| (&#rt::Leave::<#ident>::new()).leave(state, states));
    }
}

/// The function that hands the environment out.
fn env(pipe: &Pipe<'_>, node: &Node<'_>) -> TokenStream {
    let (rt, ident) = (pipe.rt(), &node.ident);
    match &node.sig.env {
        Some(env) => {
            let span = syn::spanned::Spanned::span(env).resolved_at(Span::mixed_site());
            quote_spanned!(span=> #rt::env_for::<#ident, _>)
        }
        None => hygienic!(#rt::no_env),
    }
}

/// An error of the stage ends the run.
fn stops(pipe: &Pipe<'_>, stage: usize) -> Option<TokenStream> {
    let node = &pipe.nodes[stage];
    let given = pipe.model.stages[stage].options.on_error.as_ref()?;
    let (ident, id) = (&node.ident, &node.id);
    (given.value == OnError::Stop).then(|| {
        let shown = pipe.shown(stage);
        hygienic!(a.stops::<#ident>(#id, #shown);)
    })
}

/// The push input, if several stages read it.
fn input_copies(pipe: &Pipe<'_>) -> Option<TokenStream> {
    let span = pipe.copy_span(Output {
        stage: INPUT,
        door: None,
    })?;
    let (rt, input) = (pipe.rt(), pipe.item("input"));
    let copy = quote_spanned!(span=> #rt::copy::<_, #input>);
    Some(hygienic!(a.input_copies(#copy);))
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
            let (verb, ty, producer) = (
                mixed(verb),
                pipe.projection_at(stage, of, span),
                pipe.marker_at(stage, span),
            );
            let copy = quote_spanned!(span=> #rt::copy::<#ty, #producer>);
            lines.extend(hygienic!(a.#verb::<#ident>(#id, #copy);));
        }
    };
    line("copies", "Out", several(None));
    line(
        "err_copies",
        "Err",
        several(Some("Err")).filter(|_| node.fallible()),
    );
    lines
}

/// The door that each variant leaves by.
fn routes(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let rt = pipe.rt();
    let variants = pipe.variants(stage);
    if variants.is_empty() {
        return TokenStream::new();
    }
    let (ident, id, ty) = (
        &pipe.nodes[stage].ident,
        &pipe.nodes[stage].id,
        route_type(pipe, stage),
    );
    let arms = variants.into_iter().map(|(door, span)| {
        let variant = super::pipe::spanned(door, span);
        match pipe.copy_span(Output {
            stage,
            door: Some(door),
        }) {
            Some(span) => {
                let producer = pipe.marker_at(stage, span);
                let copy = quote_spanned!(span=> #rt::copy::<_, #producer>);
                hygienic!(#ty::#variant(x) => #rt::routed_copied(#door, x, #copy),)
            }
            None => hygienic!(#ty::#variant(x) => #rt::routed(#door, x),),
        }
    });
    let x = quote_spanned!(ident.span().resolved_at(Span::mixed_site())=> x);
    hygienic!(a.routes::<#ident>(#id, |x| match #x { #(#arms)* });)
}
