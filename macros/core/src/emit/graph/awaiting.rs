//! The loop of an async stage: a batch whose futures are under way waits with what it has made, or lets that leave before the rest.

use pipewright_spec::plan::Class;
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Glue, hygienic, initial, tuple};
use crate::emit::{
    fields::Field,
    flow::{Mode, letter},
    futures,
    guards::reorders,
    segment::context,
};

impl Glue<'_, '_> {
    /// As `run`, for the segment of an async stage.
    pub(super) fn run_async(&self, segment: usize, stage: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let plan = &pipe.plan.segments[segment];
        let (id, own) = (&pipe.nodes[stage].id, pipe.fields.futures(stage));
        let carriers: Vec<TokenStream> = plan
            .outs
            .iter()
            .map(|out| {
                let carrier = self.carrier(out.link);
                hygienic!(#carrier)
            })
            .collect();
        let made = |load: TokenStream| {
            let made = plan.outs.iter().map(|out| {
                let (field, base) = (
                    self.link_field(out.link),
                    Literal::u16_unsuffixed(out.base as u16),
                );
                hygienic!(self.#field.carrier(watch, #load, #base))
            });
            tuple(made.collect())
        };
        let (made, made_again) = (made(hygienic!(load)), made(hygienic!(&load)));
        let outs = tuple(carriers.clone());
        let pattern = tuple(carriers.iter().map(|one| hygienic!(mut #one)).collect());
        let load = match carriers.is_empty() {
            true => hygienic!(_),
            false => hygienic!(load),
        };
        let name = context(pipe, Mode::Segment(segment));
        let fields = self.loops.segments[segment].fields.iter().map(|field| {
            let value = match field {
                Field::Whence => letter::whence(pipe, segment),
                _ => self.segment_field(field),
            };
            initial(pipe.fields.of(field), value)
        });
        let parked = |outs: &TokenStream| hygienic!(self.#own.park(&flight, waiting, load, #outs));
        let leaves_ahead = futures::leaves_ahead(pipe, segment) && !carriers.is_empty();
        let ahead = leaves_ahead
            .then(|| self.leave_ahead(segment, &carriers, &made_again, &parked(&hygienic!(rest))));
        let parked = parked(&outs);
        let (put_aside, done) = match plan.class {
            Class::Parallel => (hygienic!(return w.put_aside(#parked);), TokenStream::new()),
            _ => (hygienic!(return Some(#parked);), hygienic!(None)),
        };
        let in_order = carriers.iter().filter(|_| reorders(pipe, segment));
        let in_order = in_order.map(|out| hygienic!(flight.in_order(&mut #out);));
        let hand_on = self.hand_on_all(segment);
        let taken = match carriers.is_empty() {
            true => hygienic!(let () = self.#own.outs(&mut load, |_| ());),
            false => hygienic!(let #pattern = self.#own.outs(&mut load, |#load| #made);),
        };
        let drive = match futures::turns_away(pipe, stage) {
            true => hygienic!(drive_async_or_turn_away),
            false => hygienic!(drive_async),
        };
        hygienic! {
            let watch = w.watch();
            let mut load = load;
            let flight = #rt::Flying::new(watch, #id);
            #taken
            let mut cx = #name { #(#fields)* };
            if let Some(waiting) = #rt::#drive(&self.#own, &flight, &mut load, &mut cx, |cx, x, t| cx.item(x, t)) {
                #ahead
                #put_aside
            }
            ::core::mem::drop(load);
            #(#in_order)*
            #(#hand_on)*
            #done
        }
    }

    /// Lets what a batch has made leave before the rest, which is `parked` with carriers that are `made_again`.
    fn leave_ahead(
        &self,
        segment: usize,
        carriers: &[TokenStream],
        made_again: &TokenStream,
        parked: &TokenStream,
    ) -> TokenStream {
        let hand_on = self.hand_on_all(segment);
        hygienic! {
            let any = #(!#carriers.is_empty())||*;
            if let Some(ahead) = flight.ahead(&load, any) {
                let rest = #made_again;
                w.put_aside(#parked);
                #(ahead.takes(&mut #carriers);)*
                #(#hand_on)*
                return;
            }
        }
    }

    /// The types of the carriers of a segment's outputs.
    pub(super) fn outs_type(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let outs = pipe.plan.segments[segment].outs.iter().map(|out| {
            let item = crate::emit::calls::link_item(pipe, pipe.plan.links[out.link].to);
            hygienic!(#rt::Carrier<#item>)
        });
        tuple(outs.collect())
    }
}
