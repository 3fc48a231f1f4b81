//! What the emitters ask about stages with threads of their own, and how the runtime is told of them.

use pipewright_spec::{
    model::StateKind,
    plan::{Head, LinkKind},
};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::pipe::Pipe;

/// `true` if a stage has threads of its own.
fn has_pinned(pipe: &Pipe<'_>) -> bool {
    pipe.plan.segments.iter().any(|segment| segment.is_pinned())
}

/// `true` where no worker ever has the whole pipeline to itself: batches are left for pinned threads, or may have to wait.
pub(crate) fn is_never_alone(pipe: &Pipe<'_>) -> bool {
    has_pinned(pipe) || pipe.plan.segments.iter().any(|segment| segment.waits())
}

/// `true` if a stage takes its items from a ring.
pub(crate) fn reads_ring(pipe: &Pipe<'_>, stage: usize) -> bool {
    pipe.plan
        .link_to(stage)
        .is_some_and(|link| pipe.plan.links[link].kind == LinkKind::Ring)
}

/// `true` for a keyed stage on one thread of its own, which has the states of all keys: its items bring no hash.
pub(crate) fn has_all_keys(pipe: &Pipe<'_>, stage: usize) -> bool {
    let segment = pipe.plan.segment_of(stage);
    pipe.nodes[stage].state == StateKind::Keyed
        && segment.is_some_and(|segment| pipe.plan.segments[segment].has_one_thread())
}

/// `true` for a keyed stage whose items are divided by the hash of their key on the way, which they bring along.
pub(crate) fn is_divided(pipe: &Pipe<'_>, stage: usize) -> bool {
    pipe.nodes[stage].state == StateKind::Keyed && !has_all_keys(pipe, stage)
}

/// The segments with threads of their own, in the order of the plan.
pub(crate) fn segments(pipe: &Pipe<'_>) -> Vec<usize> {
    let all = 0..pipe.plan.segments.len();
    all.filter(|segment| pipe.plan.segments[*segment].is_pinned())
        .collect()
}

/// What the runtime is told of each of them.
pub(crate) fn infos(pipe: &Pipe<'_>) -> Vec<TokenStream> {
    let rt = pipe.rt();
    let info = |segment: usize| {
        let segment = &pipe.plan.segments[segment];
        let number = |n: usize| {
            let n = Literal::u16_unsuffixed(n as u16);
            quote!(Some(#n))
        };
        let (first, source, link) = match segment.head {
            Head::Source(stage) => {
                let at = pipe.plan.sources.iter().position(|source| *source == stage);
                (Some(stage), at.map_or(quote!(None), number), quote!(None))
            }
            Head::Link(link) => (None, quote!(None), number(link)),
            // The input is the pool's.
            Head::Input => (None, quote!(None), quote!(None)),
        };
        let stages = first.iter().chain(&segment.stages);
        let stages = stages.map(|stage| &pipe.nodes[*stage].id);
        quote!(#rt::PinnedInfo { stages: &[#(#stages),*], source: #source, link: #link })
    };
    segments(pipe).into_iter().map(info).collect()
}
