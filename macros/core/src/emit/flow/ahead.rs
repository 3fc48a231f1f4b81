//! Stages with `prefetch`: an item's memory is asked for when the item comes, and the stage is called with it some items
//! later.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Flow, Method, hygienic};
use crate::emit::{calls, fields::Field, pipe::Pipe};

/// How many items wait in front of the stage.
pub(crate) fn distance(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    match pipe.prefetch(stage).flatten() {
        Some(items) => {
            let items = Literal::usize_unsuffixed(items as usize);
            hygienic!(#items)
        }
        None => {
            let rt = pipe.rt();
            hygienic!(#rt::DISTANCE)
        }
    }
}

impl Flow<'_> {
    /// Asks for the memory of `value`, and calls the stage with the item whose turn it is, if there is one.
    pub(super) fn look_ahead(
        &mut self,
        stage: usize,
        value: TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let id = &self.pipe.nodes[stage].id;
        let (ahead, ask) = (
            self.fields.use_of(self.pipe, Field::Ahead(stage)),
            self.ask(stage, me),
        );
        let (method, rt) = (self.ahead_method(stage), self.pipe.rt());
        let (first, call) = (
            calls::parted(self.pipe, self.pipe.calls.pass(stage)),
            calls::argument(self.pipe, stage),
        );
        let waits = match call {
            Some(_) => hygienic!(#rt::Called::new(x, call)),
            None => hygienic!(x),
        };
        let pass = if self.tagged() {
            let tag = self.fields.use_of(self.pipe, Field::Tag);
            hygienic! {
                if let Some((tag, #first)) = #me.#ahead.pass_tagged(#me.#tag, #waits) {
                    #me.#tag = tag;
                    #me.#method(x, #call t);
                }
            }
        } else {
            hygienic!(if let Some(#first) = #me.#ahead.pass(#waits) { #me.#method(x, #call t); })
        };
        let enters = calls::enter(self.pipe, stage);
        // Finding the memory is a part of the stage, so a panic in it is one of the stage.
        hygienic! {
            let x = #value;
            t.at = #id;
            #enters
            #ask
            #pass
        }
    }

    /// Asks for the memory that `x` leads to.
    fn ask(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let (rt, node) = (self.pipe.rt(), &self.pipe.nodes[stage]);
        if self.pipe.prefetch(stage).flatten().is_some() {
            let span = node.def.item_span().resolved_at(Span::mixed_site());
            return quote_spanned!(span=> #rt::ask_target(&x););
        }
        let ident = &node.ident;
        let env = self.fields.use_of(self.pipe, Field::Env);
        hygienic!(<#ident as #rt::LooksAhead<_>>::ask(&x, #me.#env);)
    }

    /// The method that calls the stage with an item whose turn it is.
    fn ahead_method(&mut self, stage: usize) -> Ident {
        self.item_method("now", Method::Ahead(stage), stage, Self::call_now)
    }

    /// The method that calls the stage with every item that waits in front of it.
    pub(crate) fn flush_ahead(&mut self, stage: usize) -> Ident {
        let (rt, node) = (self.pipe.rt(), &self.pipe.nodes[stage]);
        let (id, tally) = (&node.id, self.tally.ident());
        let name = format_ident!("flush_{}", node.field, span = Span::mixed_site());
        let (watch, ahead) = (
            self.fields.use_of(self.pipe, Field::Watch),
            self.fields.use_of(self.pipe, Field::Ahead(stage)),
        );
        let method = self.ahead_method(stage);
        let (first, call) = (
            calls::parted(self.pipe, self.pipe.calls.pass(stage)),
            calls::argument(self.pipe, stage),
        );
        let step = if self.tagged() {
            let tag = self.fields.use_of(self.pipe, Field::Tag);
            hygienic!(|s, (tag, #first), t| { s.#tag = tag; s.#method(x, #call t); })
        } else {
            hygienic!(|s, (_, #first), t| s.#method(x, #call t))
        };
        self.methods.push(hygienic! {
            fn #name(&mut self, t: &mut #tally) {
                #rt::each_ahead(self.#watch, self, t, #id, |s| s.#ahead, #step);
            }
        });
        name
    }
}
