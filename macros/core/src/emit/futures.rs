//! Async stages: the types of their futures, the closure that makes one, and what lies beside it until it ends.

use pipewright_spec::{
    model::Gives,
    plan::{Class, Head},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{
    calls::{self, link_item},
    fields::Field,
    flow::{Flow, hygienic, letter},
    guards::{falls_back, of_error, refuses, save},
    pipe::{Pipe, mixed},
    segment,
};
use crate::signature::Role;

/// The async stages of a pipeline.
pub(super) fn stages<'p>(pipe: &'p Pipe<'_>) -> impl Iterator<Item = usize> + 'p {
    let is_async = |stage: &usize| pipe.nodes[*stage].is_async();
    (0..pipe.nodes.len()).filter(is_async)
}

/// The async stage of a segment, if it has one, which is its only stage then.
pub(super) fn stage_of(pipe: &Pipe<'_>, segment: usize) -> Option<usize> {
    match pipe.plan.segments[segment].head {
        Head::Link(link) if pipe.plan.segments[segment].awaits => Some(pipe.plan.links[link].to),
        _ => None,
    }
}

/// `true` if what has ended leaves an async stage before the rest of its batch, because nothing behind it keeps order.
pub(super) fn leaves_ahead(pipe: &Pipe<'_>, segment: usize) -> bool {
    let plan = &pipe.plan.segments[segment];
    plan.class == Class::Parallel && !plan.tagged && !pipe.keeps_empty(segment)
}

/// What a future of a stage gives.
fn output(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let (out, err) = (pipe.projection(stage, "Out"), pipe.projection(stage, "Err"));
    let option = |of: &TokenStream| hygienic!(::core::option::Option<#of>);
    match pipe.nodes[stage].sig.gives {
        Gives::Unit => hygienic!(()),
        Gives::Option => option(&out),
        Gives::Result => hygienic!(Result<#out, #err>),
        Gives::ResultOption => {
            let out = option(&out);
            hygienic!(Result<#out, #err>)
        }
        Gives::UnitResult => hygienic!(Result<(), #err>),
        _ => out,
    }
}

/// What lies beside a future: each of the names where something lies there.
fn beside(pipe: &Pipe<'_>, stage: usize) -> [Option<Ident>; 3] {
    let kept = !letter::keep(pipe, stage).is_empty();
    let saved = !save(pipe, stage).is_empty();
    let call = pipe.calls.pass(stage);
    [(kept, "kept"), (saved, "saved"), (call, "call")].map(|(is, name)| is.then(|| mixed(name)))
}

fn beside_type(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let (rt, item) = (pipe.rt(), pipe.projection(stage, "In"));
    let [kept, saved, call] = beside(pipe, stage);
    let copy = |is: Option<Ident>| is.map_or_else(|| hygienic!(()), |_| item.clone());
    let (kept, saved) = (copy(kept), copy(saved));
    let call = call.map_or_else(|| hygienic!(()), |_| hygienic!(#rt::Asked<Pipeline>));
    hygienic!(#rt::Beside<#kept, #saved, #call>)
}

/// `item`, which the loop calls with each result.
pub(super) fn item(flow: &mut Flow<'_>, stage: usize, body: TokenStream) -> TokenStream {
    let pipe = flow.pipe;
    let (rt, output, beside_type) = (pipe.rt(), output(pipe, stage), beside_type(pipe, stage));
    let names: Vec<Ident> = beside(pipe, stage).into_iter().flatten().collect();
    let beside = match names.len() {
        0 => hygienic!(_),
        3 => hygienic!(#rt::Beside { #(#names),* }),
        _ => hygienic!(#rt::Beside { #(#names,)* .. }),
    };
    let ty = hygienic!((#output, #beside_type));
    let x = match segment::mentions(&body, "x") {
        true => hygienic!(x),
        false => hygienic!(_),
    };
    let pattern = hygienic!((#x, #beside));
    let (ty, pattern, body) = match turns_away(pipe, stage) {
        false => (ty, pattern, body),
        true => landing(flow, stage, &ty, &pattern, &body),
    };
    let ty = hygienic!((u32, #ty));
    if !flow.tagged() {
        let pattern = hygienic!((_, #pattern));
        return segment::method(flow, &mixed("item"), &ty, &pattern, body);
    }
    let tag = flow.fields.use_of(pipe, Field::Tag);
    let pattern = hygienic!((tag, #pattern));
    let body = hygienic!(self.#tag = tag; #body);
    segment::method(flow, &mixed("item"), &ty, &pattern, body)
}

/// `true` if items go another way while the breaker of their stage is open.
pub(super) fn turns_away(pipe: &Pipe<'_>, stage: usize) -> bool {
    pipe.model.stages[stage].diverts() || falls_back(pipe, stage)
}

/// Type, pattern and body of `item`, which gets items that are not called, too.
fn landing(
    flow: &mut Flow<'_>,
    stage: usize,
    ty: &TokenStream,
    pattern: &TokenStream,
    body: &TokenStream,
) -> (TokenStream, TokenStream, TokenStream) {
    let pipe = flow.pipe;
    let (rt, id, item) = (pipe.rt(), &pipe.nodes[stage].id, link_item(pipe, stage));
    let (enters, me) = (calls::enter(pipe, stage), mixed("self"));
    let instead = flow.instead(stage, &me).unwrap_or_default();
    let turned_away = calls::parted(pipe, pipe.calls.pass(stage));
    let body = hygienic! {
        match landing {
            #rt::Landing::Ended(#pattern) => { #body }
            #rt::Landing::TurnedAway(#turned_away) => {
                t.at = #id;
                #enters
                #instead
            }
        }
    };
    let ty = hygienic!(#rt::Landing<#ty, #item>);
    (ty, hygienic!(landing), body)
}

/// Type parameters of the graph for its async stages, and their bounds.
pub(super) fn generics(pipe: &Pipe<'_>) -> (TokenStream, TokenStream) {
    let (mut params, mut bounds) = (TokenStream::new(), TokenStream::new());
    for stage in stages(pipe) {
        let (call, future) = pipe.future_params(stage);
        let (item, beside) = (link_item(pipe, stage), beside_type(pipe, stage));
        let output = output(pipe, stage);
        params.extend(hygienic!(#call, #future,));
        bounds.extend(hygienic! {
            #call: Fn(#item) -> (#future, #beside) + Send + Sync,
            #future: ::core::future::Future<Output = #output> + Send,
        });
    }
    (params, bounds)
}

/// The type of the field with a stage's futures. `outs` is that of the carriers of its outputs.
pub(super) fn field_type(pipe: &Pipe<'_>, stage: usize, outs: &TokenStream) -> TokenStream {
    let (rt, item) = (pipe.rt(), link_item(pipe, stage));
    let ((call, future), beside) = (pipe.future_params(stage), beside_type(pipe, stage));
    hygienic!(#rt::Futures<#item, #call, #future, #beside, #outs>)
}

/// The value of that field.
pub(super) fn open(pipe: &Pipe<'_>, stage: usize, link: &TokenStream) -> TokenStream {
    let (rt, node, item) = (pipe.rt(), &pipe.nodes[stage], link_item(pipe, stage));
    let (ident, id) = (&node.ident, &node.id);
    let (keep, save) = (letter::keep(pipe, stage), save(pipe, stage));
    let passes = pipe.calls.pass(stage);
    // If copying the item panics, its call is answered as one of this stage.
    let parted = passes.then(|| {
        let pattern = calls::parted(pipe, true);
        hygienic!(let #pattern = x; let call = call.at(#id);)
    });
    let args = node.sig.params.iter().map(|role| match role {
        Role::Env => {
            let env = &node.sig.env;
            let span = env
                .as_ref()
                .map_or_else(Span::mixed_site, syn::spanned::Spanned::span);
            let span = span.resolved_at(Span::mixed_site());
            quote_spanned!(span=> #rt::env_for::<#ident, _>(env))
        }
        _ => hygienic!(x),
    });
    let span = ident.span().resolved_at(Span::mixed_site());
    let future = quote_spanned!(span=> #ident(#(#args),*));
    let [kept, saved, call] = beside(pipe, stage);
    let value = |name: &str, is: Option<Ident>| {
        let field = mixed(name);
        match is {
            Some(name) => hygienic!(#name),
            None => hygienic!(#field: ()),
        }
    };
    let (kept, saved) = (value("kept", kept), value("saved", saved));
    let call = match call {
        Some(_) => hygienic!(call: call.left()),
        None => hygienic!(call: ()),
    };
    let refused = refuses(pipe, stage).then(|| {
        let refused = of_error(pipe, stage, "refused");
        hygienic!(.or_refused(|refused| Err(#refused(refused))))
    });
    let options = &pipe.model.stages[stage].options;
    let timed_out = options.timeout.as_ref().map(|_| {
        let timed_out = of_error(pipe, stage, "timed_out");
        hygienic!(.or_timed_out(|late| Err(#timed_out(late))))
    });
    let panicked = letter::leaves(pipe, stage).then(|| {
        let panicked = of_error(pipe, stage, "panicked");
        hygienic!(.or_panicked(|panicked| Err(#panicked(panicked))))
    });
    hygienic! {
        #rt::Futures::new(site, #link, move |x: #item| {
            #parted
            #keep
            #save
            (#future, #rt::Beside { #kept, #saved, #call })
        })
        #refused
        #timed_out
        #panicked
    }
}
