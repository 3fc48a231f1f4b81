//! Stages with `prefetch`: an item's memory is asked for when the item comes, and the stage is called with it some items
//! later. The loop of a guarded stage asks while the items still lie in the batch.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Flow, Method, hygienic};
use crate::emit::{
    calls::{self, link_item},
    fields::Field,
    pipe::Pipe,
};

/// How many items wait in front of the stage.
pub(crate) fn distance(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    match given(pipe, stage) {
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

/// The distance, where it is given.
fn given(pipe: &Pipe<'_>, stage: usize) -> Option<u32> {
    let prefetch = pipe.prefetch(stage).or_else(|| pipe.looks_ahead(stage));
    prefetch.flatten()
}

/// Asks for the memory that `item` leads to; `env` is the environment.
fn asked(pipe: &Pipe<'_>, stage: usize, item: &TokenStream, env: &TokenStream) -> TokenStream {
    let (rt, node) = (pipe.rt(), &pipe.nodes[stage]);
    if given(pipe, stage).is_some() {
        let span = node.def.item_span().resolved_at(Span::mixed_site());
        // Who is told that it leads nowhere is shown the item's type.
        let item = item.clone().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        let item = TokenStream::from_iter(item);
        return quote_spanned!(span=> #rt::ask_target(#item));
    }
    let ident = &node.ident;
    hygienic!(<#ident as #rt::LooksAhead<_>>::ask(#item, #env))
}

/// Lets the guard of a stage look ahead: a closure, and what is said to the guard.
pub(crate) fn of_guard(pipe: &Pipe<'_>, stage: usize) -> Option<(TokenStream, TokenStream)> {
    pipe.looks_ahead(stage)?;
    let (ty, distance) = (link_item(pipe, stage), distance(pipe, stage));
    let item = match pipe.calls.pass(stage) {
        true => hygienic!(&x.item),
        false => hygienic!(x),
    };
    let ask = asked(pipe, stage, &item, &hygienic!(self.env.get()));
    Some((
        hygienic!(let looks = |x: &#ty| #ask;),
        hygienic!(.looking_ahead(#distance, &looks)),
    ))
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
        let env = match given(self.pipe, stage) {
            Some(_) => TokenStream::new(),
            None => {
                let env = self.fields.use_of(self.pipe, Field::Env);
                hygienic!(#me.#env)
            }
        };
        let asked = asked(self.pipe, stage, &hygienic!(&x), &env);
        hygienic!(#asked;)
    }

    /// Before a guarded stage is called with an item whose memory was looked for.
    pub(super) fn found(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if self.pipe.looks_ahead(stage).is_none() {
            return TokenStream::new();
        }
        let guard = self.fields.use_of(self.pipe, Field::Guard(stage));
        hygienic!(#me.#guard.found();)
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
