//! The loop of a guarded stage: it may stop in the middle of a batch, which then waits with what it has made.

use pipewright_spec::{
    model::StateKind,
    plan::{Class, Head},
};
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Glue, hygienic, initial, tuple};
use crate::emit::{
    fields::Field,
    flow::{Mode, letter},
    guards::reorders,
    segment::context,
};

impl Glue<'_, '_> {
    /// As `run`, for a segment whose stage is guarded.
    pub(super) fn run_guarded(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let plan = &pipe.plan.segments[segment];
        let Head::Link(link) = plan.head else {
            // The plan cuts before each guarded stage.
            return TokenStream::new();
        };
        let stage = pipe.plan.links[link].to;
        let id = &pipe.nodes[stage].id;
        let carriers: Vec<TokenStream> = plan
            .outs
            .iter()
            .map(|out| {
                let carrier = self.carrier(out.link);
                hygienic!(#carrier)
            })
            .collect();
        let made = plan.outs.iter().map(|out| {
            let (field, base) = (
                self.link_field(out.link),
                Literal::u16_unsuffixed(out.base as u16),
            );
            hygienic!(self.#field.carrier(watch, &load, #base))
        });
        let made = tuple(made.collect());
        let outs = tuple(carriers.clone());
        let pattern = tuple(carriers.iter().map(|one| hygienic!(mut #one)).collect());
        let taken = (!carriers.is_empty()).then(|| hygienic!(let #pattern = guard.outs(|| #made);));
        let into =
            (pipe.nodes[stage].state == StateKind::Keyed).then(|| hygienic!(.into_carrier()));
        let name = context(pipe, Mode::Segment(segment));
        let fields = self.loops.segments[segment].fields.iter().map(|field| {
            let value = match field {
                Field::Whence => letter::whence(pipe, segment),
                _ => self.segment_field(field),
            };
            initial(pipe.fields.of(field), value)
        });
        let drive = match (
            pipe.nodes[stage].is_batch(),
            plan.tagged || reorders(pipe, segment),
        ) {
            (true, false) => hygienic!(drive_guarded_batch),
            (true, true) => hygienic!(drive_guarded_tagged_batch),
            (false, true) => hygienic!(drive_guarded_tagged),
            (false, false) => hygienic!(drive_guarded),
        };
        let gated = plan.class != Class::Parallel;
        let parked = hygienic!(guard.park(pause, load, #outs));
        let (put_aside, done) = match gated {
            true => (hygienic!(return Some(#parked);), hygienic!(None)),
            false => (hygienic!(return w.put_aside(#parked);), TokenStream::new()),
        };
        let in_order = carriers.iter().filter(|_| reorders(pipe, segment));
        let in_order = in_order.map(|out| hygienic!(guard.in_order(&mut #out);));
        let hand_on = self.hand_on_all(segment);
        hygienic! {
            let watch = w.watch();
            let mut load = load #into;
            let guard = #rt::Guarding::new(watch, #id, &mut load);
            #taken
            let mut cx = #name { #(#fields)* };
            if let Some(pause) = #rt::#drive(&guard, &mut load, &mut cx, |cx, x, t| cx.item(x, t)) {
                #put_aside
            }
            ::core::mem::drop(load);
            #(#in_order)*
            #(#hand_on)*
            #done
        }
    }
}
