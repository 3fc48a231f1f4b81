//! What calls need: which stages they pass, the types of what carries them, and how the pipeline says what it answers.
//!
//! In a loop, the call of the item at hand is the local `call`, from where the item comes in to where it leaves or ends. It
//! exists in what is emitted for the stages on the way, and nowhere else.

use pipewright_spec::{
    model::{Model, StateKind},
    plan::INPUT,
    way,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    flow::hygienic,
    pipe::{Output, Pipe, mixed},
    segment,
};
use crate::place::Place;

/// The way of calls.
pub(crate) struct Calls {
    way: Vec<bool>,
    reply: Option<usize>,
    /// Where `reply` is given.
    span: Span,
}

impl Calls {
    pub(crate) fn new(model: &Model<Place>, literal: Option<Span>) -> Calls {
        let given = model.options.reply.as_ref();
        let reply = given.and_then(|given| model.find(&given.value.stage.text));
        let span = given.and_then(|given| given.value.stage.place.span().or(literal));
        Calls {
            way: way(model),
            reply,
            span: span
                .unwrap_or_else(Span::call_site)
                .resolved_at(Span::mixed_site()),
        }
    }

    /// `true` for a stage that calls come through.
    pub(crate) fn pass(&self, stage: usize) -> bool {
        self.way.get(stage).copied().unwrap_or(false)
    }

    /// `true` for the stage that answers.
    pub(crate) fn end_at(&self, stage: usize) -> bool {
        self.reply == Some(stage)
    }

    /// `true` for an output that calls leave a stage by, or the input: they go on, or end with the item.
    pub(crate) fn leave_by(&self, output: Output<'_>) -> bool {
        match output.stage {
            INPUT => self.reply.is_some(),
            stage => self.pass(stage) && !self.end_at(stage),
        }
    }
}

/// The same, with a call.
pub(super) fn crossing(crossing: &TokenStream) -> TokenStream {
    hygienic!(#crossing.called::<Pipeline>())
}

/// The item with its call.
fn called(pipe: &Pipe<'_>, item: &TokenStream) -> TokenStream {
    let rt = pipe.rt();
    hygienic!(#rt::Called<#item, Pipeline>)
}

/// The type of what a link to a stage carries.
pub(crate) fn link_item(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let item = pipe.projection(stage, "In");
    match pipe.calls.pass(stage) {
        true => called(pipe, &item),
        false => item,
    }
}

/// The type of what waits in the input.
pub(crate) fn queued(pipe: &Pipe<'_>) -> TokenStream {
    let item = segment::input_type(pipe);
    match pipe.calls.reply {
        Some(_) => called(pipe, &item),
        None => item,
    }
}

/// The pattern for an item that comes over a link or from the input.
pub(crate) fn parted(pipe: &Pipe<'_>, calls: bool) -> TokenStream {
    let rt = pipe.rt();
    match calls {
        true => hygienic!(#rt::Called { item: x, call }),
        false => hygienic!(x),
    }
}

/// The parameter of a method that has items of a stage on the way.
pub(crate) fn param(pipe: &Pipe<'_>, stage: usize) -> Option<TokenStream> {
    let rt = pipe.rt();
    let passes = pipe.calls.pass(stage);
    passes.then(|| hygienic!(call: #rt::Asked<Pipeline>,))
}

/// The argument for it.
pub(crate) fn argument(pipe: &Pipe<'_>, stage: usize) -> Option<TokenStream> {
    pipe.calls.pass(stage).then(|| hygienic!(call,))
}

/// The function that finds keys in what the link to a stage carries.
pub(crate) fn key_fn(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let (rt, ident) = (pipe.rt(), &pipe.nodes[stage].ident);
    let key = hygienic!(<#ident as #rt::Keyed>::key);
    match pipe.calls.pass(stage) {
        true => hygienic!(#rt::key_of_called::<_, Pipeline, _>(#key)),
        false => key,
    }
}

/// How the keys of what waits in the input are hashed, where what waits is shed and has keys.
pub(crate) fn shed_key(pipe: &Pipe<'_>, queued: &TokenStream) -> Option<TokenStream> {
    let stages = pipe.model.stages.iter().zip(&pipe.nodes);
    let mut sheds = stages.filter(|(stage, _)| stage.options.shed.is_some());
    let (_, node) = sheds.find(|(_, node)| node.state == StateKind::Keyed)?;
    let (rt, ident) = (pipe.rt(), &node.ident);
    let item = match pipe.calls.reply {
        Some(_) => hygienic!(&x.item),
        None => hygienic!(x),
    };
    Some(hygienic! {
        const SHED_KEY: Option<fn(&#queued) -> u64> =
            Some(|x| #rt::hash_of_key(&<#ident as #rt::Keyed>::key(#item)));
    })
}

/// `let call = ..;` for an item that comes to a stage on the way by an output that may have none.
pub(crate) fn bound(pipe: &Pipe<'_>, output: Output<'_>, reader: usize) -> TokenStream {
    if !pipe.calls.pass(reader) || pipe.calls.leave_by(output) {
        return TokenStream::new();
    }
    let rt = pipe.rt();
    hygienic!(let call = #rt::Asked::none();)
}

/// `call` comes into a stage.
pub(crate) fn enter(pipe: &Pipe<'_>, stage: usize) -> Option<TokenStream> {
    let id = &pipe.nodes[stage].id;
    pipe.calls
        .pass(stage)
        .then(|| hygienic!(let call = call.at(#id);))
}

/// Finds the state of a key while the item and its call are one.
pub(crate) fn with_item(pipe: &Pipe<'_>, stage: usize, state: TokenStream) -> TokenStream {
    let rt = pipe.rt();
    match pipe.calls.pass(stage) && pipe.nodes[stage].state == StateKind::Keyed {
        true => hygienic! {
            let x = #rt::Called { item: x, call };
            #state
            let #rt::Called { item: x, call } = x;
        },
        false => state,
    }
}

/// What happens to `call` where `x` leaves a stage: before it is counted and handed on, and after it is.
#[derive(Default)]
pub(crate) struct Leaving {
    /// Copies, which may panic.
    pub(crate) copies: TokenStream,
    /// The end of the call, or nothing.
    pub(crate) end: TokenStream,
}

/// For the output of a stage, of which `readers` are the stages that read it.
pub(crate) fn leaving(pipe: &Pipe<'_>, output: Output<'_>, readers: &[usize]) -> Leaving {
    let leads = readers.iter().any(|reader| pipe.calls.pass(*reader));
    let is_err = output.door == Some("Err")
        && pipe
            .nodes
            .get(output.stage)
            .is_some_and(|node| node.fallible());
    if !pipe.calls.leave_by(output) || (is_err && !leads) {
        return Leaving::default();
    }
    let end = match (leads, readers.len()) {
        (false, _) => hygienic!(call.end();),
        (true, 1) => TokenStream::new(),
        // If one of the others stops the run, the item is lost behind this stage, not in it.
        (true, _) => hygienic!(let call = call.left();),
    };
    Leaving {
        end,
        ..Leaving::default()
    }
}

/// Answers with `x`, which the stage sends by its main door; `read`: stages read it, too.
pub(crate) fn answer(pipe: &Pipe<'_>, stage: usize, read: bool) -> Leaving {
    if !read {
        return Leaving {
            end: hygienic!(call.answer(x);),
            ..Leaving::default()
        };
    }
    let span = pipe.calls.span;
    let producer = pipe.marker_at(stage, span);
    Leaving {
        copies: quote_spanned!(span=> let answer = call.copy::<_, #producer>(&x);),
        end: hygienic!(call.answer_copy(answer);),
    }
}

/// `true` for a stage whose errors end calls.
fn fails(pipe: &Pipe<'_>, stage: usize) -> bool {
    let output = Output {
        stage,
        door: Some("Err"),
    };
    let readers = pipe.readers(output);
    pipe.calls.pass(stage)
        && pipe.nodes[stage].fallible()
        && !readers.iter().any(|reader| pipe.calls.pass(reader.stage))
}

/// Answers with the error `x`, if that is the end of the call. `read`: stages read it, too.
pub(crate) fn failure(pipe: &Pipe<'_>, stage: usize, read: bool) -> Leaving {
    if !fails(pipe, stage) {
        return Leaving::default();
    }
    let node = &pipe.nodes[stage];
    let span = node
        .sig
        .err
        .as_ref()
        .map_or_else(Span::call_site, syn::spanned::Spanned::span)
        .resolved_at(Span::mixed_site());
    let (marker, id) = (pipe.marker_at(stage, span), &node.id);
    if !read {
        return Leaving {
            end: quote_spanned!(span=> call.fail::<#marker>(#id, x);),
            ..Leaving::default()
        };
    }
    Leaving {
        copies: quote_spanned!(span=> let answer = call.copy::<_, #marker>(&x);),
        end: quote_spanned!(span=> call.fail_copy::<#marker>(#id, answer);),
    }
}

/// What a dry run is told about the calls that come through a stage.
pub(crate) fn dry(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    if !pipe.calls.pass(stage) {
        return TokenStream::new();
    }
    let (ident, id) = (&pipe.nodes[stage].ident, &pipe.nodes[stage].id);
    let reads = |door| !pipe.readers(Output { stage, door }).is_empty();
    let line = |verb: [&str; 2], read: bool, Leaving { copies, end }: Leaving| {
        let verb = mixed(verb[usize::from(read)]);
        let gives_back = read.then(|| hygienic!(x));
        hygienic!(a.#verb::<#ident>(#id, |call, x| { #copies #end #gives_back });)
    };
    let mut lines = hygienic!(a.passes(#id););
    if pipe.calls.end_at(stage) {
        let read = reads(None) || !pipe.variants(stage).is_empty();
        let verb = ["answers", "answers_copied"];
        lines.extend(line(verb, read, answer(pipe, stage, read)));
    }
    if fails(pipe, stage) {
        let read = reads(Some("Err"));
        let verb = ["fails", "fails_copied"];
        lines.extend(line(verb, read, failure(pipe, stage, read)));
    }
    lines
}

/// `impl rt::Answers`, for a pipeline with `reply`.
pub(crate) fn answers(pipe: &Pipe<'_>) -> Option<TokenStream> {
    let (rt, reply) = (pipe.rt(), pipe.calls.reply?);
    let last = pipe
        .plan
        .order
        .iter()
        .rev()
        .copied()
        .find(|stage| fails(pipe, *stage));
    let span = pipe.calls.span;
    let reply = pipe.projection_at(reply, "Out", span);
    let failure = match last {
        Some(stage) => pipe.projection(stage, "Err"),
        None => quote!(::core::convert::Infallible),
    };
    let crosses = quote_spanned!(span=> #rt::crosses_threads::<#reply>());
    Some(hygienic! {
        impl #rt::Answers for Pipeline {
            type Reply = #reply;
            type Failure = #failure;
            const REPLY: #rt::Crossing<#reply> = #crosses;
            const FAILURE: #rt::Crossing<#failure> = #rt::crosses_threads::<#failure>();
        }
    })
}
