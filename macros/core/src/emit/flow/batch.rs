//! Batch stages: items collect, and the stage is called when there are enough or when they are due.

use pipewright_spec::model::Takes;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Flow, Method, hygienic};
use crate::emit::{calls, fields::Field, pipe::mixed};

impl Flow<'_> {
    /// Adds an item to the batch of a batch stage, and calls the stage when the batch is full.
    pub(super) fn collect(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        let (watch, batch) = (
            self.fields.use_of(self.pipe, Field::Watch),
            self.fields.use_of(self.pipe, Field::Batch(stage)),
        );
        let flush = self.flush_method(stage);
        let call = calls::enter(self.pipe, stage).map(|enters| {
            let calls = self.fields.use_of(self.pipe, Field::Calls(stage));
            hygienic!(#enters #me.#calls.push(call);)
        });
        hygienic! {
            #call
            if #me.#batch.push(#value, #me.#watch.now()) {
                #me.#flush(t);
            }
        }
    }

    pub(crate) fn flush_method(&mut self, stage: usize) -> Ident {
        let node = &self.pipe.nodes[stage];
        let name = format_ident!("flush_{}", node.field, span = Span::mixed_site());
        if !self.done.insert(Method::Flush(stage)) {
            return name;
        }
        let (rt, id, me) = (self.pipe.rt(), &node.id, mixed("self"));
        let (watch, batch) = (
            self.fields.use_of(self.pipe, Field::Watch),
            self.fields.use_of(self.pipe, Field::Batch(stage)),
        );
        let items = match node.sig.takes {
            Takes::Slice => hygienic!(&xs),
            _ => hygienic!(&mut xs),
        };
        let call = self.function(stage, items, &me);
        let calls = self.pipe.calls.pass(stage).then(|| {
            let calls = self.fields.use_of(self.pipe, Field::Calls(stage));
            hygienic!(let calls = self.#calls.take();)
        });
        let rest = self.flushed(stage, &me);
        let tally = self.tally.ident();
        let binding = if node.sig.takes == Takes::Slice {
            hygienic!(let xs)
        } else {
            hygienic!(let mut xs)
        };
        self.methods.push(hygienic! {
            fn #name(&mut self, t: &mut #tally) {
                #binding = self.#batch.take();
                #calls
                t.at = #id;
                #rt::at_once(self.#watch, #id, xs.len(), || #call);
                #rest
            }
        });
        name
    }

    /// What happens to a batch after the call.
    pub(super) fn flushed(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        let (rt, id) = (self.pipe.rt(), &node.id);
        let (watch, batch) = (
            self.fields.use_of(self.pipe, Field::Watch),
            self.fields.use_of(self.pipe, Field::Batch(stage)),
        );
        if node.is_end() {
            let taken = self.tally.taken(self.pipe, stage);
            return hygienic!(#taken #me.#batch.give(xs););
        }
        if node.has_buffer() {
            let drain = self.emitted(stage, me);
            return hygienic!(#me.#batch.give(xs); #drain);
        }
        let sent = self.sent(stage, &mixed("s"));
        if self.pipe.calls.pass(stage) {
            let calls = self.fields.use_of(self.pipe, Field::Calls(stage));
            return hygienic! {
                #rt::each_called(#me.#watch, #me, t, #id, (xs, calls), |s| (&mut *s.#batch, &mut *s.#calls), |s, x, call, t| { #sent });
            };
        }
        hygienic! {
            #rt::each_left(#me.#watch, #me, t, #id, xs, |s| s.#batch, |s, x, t| { #sent });
        }
    }
}
