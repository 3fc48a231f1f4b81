//! Pinned threads: the links to them, and one method for each segment that is the life of its threads.

use pipewright_spec::{
    model::StateKind,
    plan::{Head, LinkKind},
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Glue, hygienic};
use crate::emit::{
    calls::key_fn,
    fields::Field,
    pinned::{is_divided, segments},
};

impl Glue<'_, '_> {
    /// `true` if a stage has threads of its own.
    pub(super) fn is_pinned(&self, stage: usize) -> bool {
        let plan = self.pipe.plan;
        plan.segment_of(stage)
            .is_some_and(|segment| plan.segments[segment].is_pinned())
    }

    /// `true` for a link that hands over item by item.
    pub(super) fn is_ring(&self, link: usize) -> bool {
        self.pipe.plan.links[link].kind == LinkKind::Ring
    }

    /// The type of a link to pinned threads.
    pub(super) fn pinned_type(&self, link: usize, item: &TokenStream) -> Option<TokenStream> {
        let rt = self.pipe.rt();
        let (plan, to) = (self.pipe.plan, self.pipe.plan.links[link].to);
        if !plan.segments[plan.links[link].segment].is_pinned() {
            return None;
        }
        Some(match plan.links[link].kind {
            LinkKind::Ring => hygienic!(#rt::RingLink<#item>),
            LinkKind::Keyed { .. } => {
                let key = self.pipe.key_param(to);
                hygienic!(#rt::KeyedDeposit<#item, #key>)
            }
            _ => hygienic!(#rt::Deposit<#item>),
        })
    }

    /// Opens a link to pinned threads.
    pub(super) fn open_pinned(&self, at: usize) -> Option<TokenStream> {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let link = &pipe.plan.links[at];
        let (number, crossing) = (
            Literal::u16_unsuffixed(at as u16),
            pipe.crossing_link(link.to),
        );
        if !pipe.plan.segments[link.segment].is_pinned() {
            return None;
        }
        Some(match link.kind {
            LinkKind::Ring => hygienic!(#rt::RingLink::new(site, #number, #crossing)),
            LinkKind::Keyed { .. } => {
                let key = key_fn(pipe, link.to);
                hygienic!(#rt::KeyedDeposit::new(site, #number, #key, #crossing))
            }
            _ => {
                let keep = self.pipe.keeps_empty(link.segment);
                hygienic!(#rt::Deposit::new(site, #number, #keep, #crossing))
            }
        })
    }

    /// `Graph::pinned`, which runs the life of a pinned thread.
    pub(super) fn pinned(&self) -> TokenStream {
        let rt = self.pipe.rt();
        let all = segments(self.pipe);
        if all.is_empty() {
            return TokenStream::new();
        }
        let arms = all.into_iter().enumerate().map(|(at, segment)| {
            let (number, method) = (Literal::usize_unsuffixed(at), self.pinned_method(segment));
            hygienic!(#number => self.#method(w, start),)
        });
        hygienic! {
            fn pinned(&self, place: usize, w: &mut #rt::Worker<'_>, start: #rt::Start<'_>) -> Result<(), #rt::InitError> {
                match place {
                    #(#arms)*
                    _ => Ok(()),
                }
            }
        }
    }

    fn pinned_method(&self, segment: usize) -> Ident {
        let name = match self.pipe.plan.segments[segment].head {
            Head::Link(link) => self.link_field(link),
            Head::Source(source) => self.source_field(source),
            Head::Input => self.source_field(usize::MAX),
        };
        format_ident!("pinned_{name}", span = Span::mixed_site())
    }

    /// The life of the threads of a segment: its states are theirs.
    pub(super) fn pinned_segment(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let (name, body) = (self.pinned_method(segment), self.run(segment));
        let plan = &pipe.plan.segments[segment];
        let locals = self.loops.segments[segment]
            .fields
            .iter()
            .filter_map(|field| {
                let (name, value) = (pipe.fields.of(field), self.own_value(field)?);
                Some(hygienic!(let mut #name = #value;))
            });
        let senders = plan.outs.iter().filter(|out| self.is_ring(out.link));
        let senders = senders.map(|out| {
            let (field, name) = (self.link_field(out.link), self.carrier(out.link));
            hygienic!(let mut #name = self.#field.sender(w);)
        });
        let life = match plan.head {
            Head::Link(link) => {
                let (field, to) = (self.link_field(link), pipe.plan.links[link].to);
                let states = is_divided(pipe, to).then(|| {
                    let name = pipe.fields.of(Field::State(to));
                    hygienic!(#name,)
                });
                hygienic!(self.#field.serve(w, |#states load, w| { #body });)
            }
            Head::Source(source) => {
                let field = self.source_field(source);
                let at = self.sources().iter().position(|other| *other == source);
                let at = Literal::usize_unsuffixed(at.unwrap_or_default());
                hygienic!(#rt::feed(w, #at, |w| self.#field.pull(w, |load, w| { #body }));)
            }
            Head::Input => TokenStream::new(),
        };
        let leave = plan.stages.iter().filter_map(|stage| self.leave(*stage));
        hygienic! {
            fn #name(&self, w: &mut #rt::Worker<'_>, start: #rt::Start<'_>) -> Result<(), #rt::InitError> {
                #(#locals)*
                #(#senders)*
                if start.go() {
                    #life
                }
                #(#leave)*
                Ok(())
            }
        }
    }

    /// The value of a field of the loop of a pinned segment.
    pub(super) fn pinned_field(&self, field: Field) -> TokenStream {
        let name = self.pipe.fields.of(field);
        match field {
            Field::Out(stage) if crate::emit::pinned::reads_ring(self.pipe, stage) => {
                hygienic!(#name.batch())
            }
            Field::State(stage) if is_divided(self.pipe, stage) => hygienic!(#name),
            Field::State(_)
            | Field::Buffer(_)
            | Field::Batch(_)
            | Field::Calls(_)
            | Field::Ahead(_) => hygienic!(&mut #name),
            _ => self.segment_field(field),
        }
    }

    /// Leaves the state of a stage when its thread ends.
    fn leave(&self, stage: usize) -> Option<TokenStream> {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let (ident, name) = (
            &pipe.nodes[stage].ident,
            pipe.fields.of(Field::State(stage)),
        );
        match pipe.nodes[stage].state {
            StateKind::Serial => Some(hygienic!(start.states().put::<#ident>(#name);)),
            StateKind::PerWorker => Some(hygienic! {
                {
                    use #rt::{LeaveDropped as _, LeaveMerged as _};
                    (&#rt::Leave::<#ident>::new()).leave(#name, start.states());
                }
            }),
            _ => None,
        }
    }

    /// How a carrier is handed on where one of the two segments is pinned: the pool's work is left to the pool, that of
    /// pinned threads to them.
    pub(super) fn hand_to_or_from_pinned(
        &self,
        segment: usize,
        link: usize,
    ) -> Option<TokenStream> {
        let plan = self.pipe.plan;
        let (field, carrier) = (self.link_field(link), self.carrier(link));
        if self.is_ring(link) {
            return Some(TokenStream::new());
        }
        if plan.segments[plan.links[link].segment].is_pinned() {
            return Some(hygienic!(self.#field.leave(#carrier, w);));
        }
        plan.segments[segment]
            .is_pinned()
            .then(|| hygienic!(self.#field.post(#carrier, w);))
    }
}
