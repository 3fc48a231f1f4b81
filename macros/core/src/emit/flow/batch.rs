//! Batch stages: items collect, and the stage is called when there are enough or when they are due.

use pipewright_spec::model::{Gives, Takes};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Flow, Method, hygienic, letter};
use crate::emit::{calls, fields::Field, pipe::mixed};

/// The parts of a flush.
struct Verdicts {
    before: TokenStream,
    call: TokenStream,
    rest: TokenStream,
}

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
        let guard = self.pipe.fields.of(Field::Guard(stage)).clone();
        let turned_away = self.turned_away(stage, &value, me);
        let collected = hygienic! {
            #call
            if #me.#batch.push(#value, #me.#watch.now()) {
                #me.#flush(t);
            }
        };
        match turned_away {
            None => collected,
            Some(turned_away) => hygienic! {
                if let Some(refused) = #me.#guard.refusal() { #turned_away } else { #collected }
            },
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
        let Verdicts { before, call, rest } = match node.sig.gives {
            Gives::Verdicts | Gives::Judged => self.verdicts(stage, call, &me),
            _ => Verdicts {
                before: TokenStream::new(),
                call: hygienic!(#rt::at_once(self.#watch, #id, xs.len(), self.#batch.since(), || #call);),
                rest: self.flushed(stage, &me),
            },
        };
        let calls = self.pipe.calls.pass(stage).then(|| {
            let calls = self.fields.use_of(self.pipe, Field::Calls(stage));
            hygienic!(let calls = self.#calls.take();)
        });
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
                #before
                t.at = #id;
                #call
                #rest
            }
        });
        name
    }

    /// The call of a stage that judges its items, and what happens to them after it.
    fn verdicts(&mut self, stage: usize, call: TokenStream, me: &Ident) -> Verdicts {
        let (pipe, s) = (self.pipe, mixed("s"));
        let node = &pipe.nodes[stage];
        let (rt, id) = (pipe.rt(), &node.id);
        let (watch, batch) = (
            self.fields.use_of(pipe, Field::Watch),
            self.fields.use_of(pipe, Field::Batch(stage)),
        );
        let (saved, panics) = (self.save_all(stage, me), self.keep_for_panics(stage, me));
        let (judged, keeper) = (
            node.sig.gives == Gives::Judged,
            letter::keeper(self.pipe, stage),
        );
        let (before, checked) = match judged {
            true => (
                TokenStream::new(),
                hygienic!({ let verdicts = #call; #rt::one_for_each(xs.len(), verdicts) }),
            ),
            false => (
                hygienic!(let n = xs.len();),
                hygienic!(#rt::one_for_each(n, #call)),
            ),
        };
        let before = hygienic!(#before #saved #panics);
        let over = self.forget_for_panics(stage, me);
        let call = hygienic! {
            let verdicts = #rt::at_once(#me.#watch, #id, xs.len(), #me.#batch.since(), || #checked);
            #over
        };
        // What it takes out of its batch is kept before; the rest is there afterwards.
        let (before, items) = match &keeper {
            Some(keeper) if !judged && node.sig.takes == Takes::Batch => {
                let kept = self.keep_all(stage, keeper);
                (
                    hygienic!(#before #kept),
                    hygienic!(#me.#batch.give(xs); let xs = kept;),
                )
            }
            _ => (before, TokenStream::new()),
        };
        let (verdict, error) = (self.tell_verdict(stage, &s), self.error(stage, &s));
        let ok = match (node.is_end(), judged) {
            (true, _) => {
                let taken = self.tally.sent(pipe, stage);
                hygienic!(Ok(()) => { #taken })
            }
            (false, true) => {
                let sent = self.sent(stage, &s);
                hygienic!(Ok(()) => { let x = kept; #sent })
            }
            (false, false) => {
                let sent = self.sent(stage, &s);
                hygienic!(Ok(x) => { #sent })
            }
        };
        let each = hygienic!({ #verdict match x { #ok #error } });
        let rest = match keeper.is_some() || (judged && !node.is_end()) {
            true => hygienic! {
                #items
                #rt::each_judged(#me.#watch, #me, t, #id, (xs, verdicts), |s| s.#batch, |s, kept, x, t| #each);
            },
            false => hygienic! {
                #me.#batch.give(xs);
                #rt::each_verdict(#me.#watch, #me, t, #id, verdicts, |s, x, t| #each);
            },
        };
        Verdicts { before, call, rest }
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
