//! The loop of a guarded stage: it may stop in the middle of a batch, which then waits with what it has made; on a pinned thread
//! the thread waits with it.

use pipewright_spec::plan::{Class, Head, INPUT};
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Glue, hygienic, initial, tuple};
use crate::emit::{
    fields::Field,
    flow::{Mode, ahead, letter},
    guards::reorders,
    pinned::is_divided,
    pipe::mixed,
    segment::context,
    vector,
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
        let made = match plan.is_pinned() {
            true => made,
            false => hygienic!(guard.outs(|| #made)),
        };
        let taken = (!carriers.is_empty()).then(|| hygienic!(let #pattern = #made;));
        let into = is_divided(pipe, stage).then(|| hygienic!(.into_carrier()));
        let name = context(pipe, Mode::Segment(segment));
        let fields = self.loops.segments[segment].fields.iter().map(|field| {
            let value = match field {
                Field::Whence => letter::whence(pipe, segment),
                _ if plan.is_pinned() => self.pinned_field(field),
                _ => self.segment_field(field),
            };
            initial(pipe.fields.of(field), value)
        });
        let drive = self.drive_guarded(segment, stage);
        let in_order = carriers.iter().filter(|_| reorders(pipe, segment));
        let in_order = in_order.map(|out| hygienic!(guard.in_order(&mut #out);));
        let hand_on = self.hand_on_all(segment);
        let (ask, looks) = ahead::of_guard(pipe, stage).unzip();
        let gated = plan.class != Class::Parallel && !plan.is_pinned();
        let parked = hygienic!(guard.park(pause, load, #outs));
        let (drive, done) = match (plan.is_pinned(), gated) {
            (true, _) => (
                hygienic!(while let Some(pause) = #drive { guard.wait(pause, &load); }),
                TokenStream::new(),
            ),
            (false, true) => (
                hygienic!(if let Some(pause) = #drive { return Some(#parked); }),
                hygienic!(None),
            ),
            (false, false) => (
                hygienic!(if let Some(pause) = #drive { return w.put_aside(#parked); }),
                TokenStream::new(),
            ),
        };
        hygienic! {
            let watch = w.watch();
            let mut load = load #into;
            #ask
            let guard = #rt::Guarding::new(watch, #id, &mut load) #looks;
            #taken
            let mut cx = #name { #(#fields)* };
            #drive
            ::core::mem::drop(load);
            #(#in_order)*
            #(#hand_on)*
            #done
        }
    }

    /// The call of the loop.
    fn drive_guarded(&self, segment: usize, stage: usize) -> TokenStream {
        let (pipe, rt, mode) = (self.pipe, self.pipe.rt(), Mode::Segment(segment));
        let tagged = pipe.plan.segments[segment].tagged || reorders(pipe, segment);
        let looks = pipe.looks_ahead(stage).is_some();
        if !vector::levels(pipe, mode).is_empty() {
            let name = mixed(match tagged {
                true => "drive_guarded_tagged_vector",
                false => "drive_guarded_vector",
            });
            let (using, copies) = (vector::using(pipe), vector::copies(pipe, mode, INPUT));
            return hygienic! {
                {
                    #using
                    #rt::#name::<0, #looks, _, _, _>(&guard, &mut load, &mut cx, #copies)
                }
            };
        }
        let name = mixed(match (pipe.nodes[stage].is_batch(), tagged, looks) {
            (true, false, _) => "drive_guarded_batch",
            (true, true, _) => "drive_guarded_tagged_batch",
            (false, true, false) => "drive_guarded_tagged",
            (false, false, false) => "drive_guarded",
            (false, true, true) => "drive_guarded_tagged_ahead",
            (false, false, true) => "drive_guarded_ahead",
        });
        hygienic!(#rt::#name(&guard, &mut load, &mut cx, |cx, x, t| cx.item(x, t)))
    }
}
