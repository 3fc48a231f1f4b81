//! What a call gives: a value, none, an error, many, or a variant; and what happens to it.

use pipewright_spec::{model::Gives, options::OnError};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{Flow, hygienic, route_type};
use crate::emit::{
    calls::{self, Leaving},
    fields::Field,
    guards::retries,
    pipe::{Output, mixed, spanned},
};

impl Flow<'_> {
    /// Forgets what an earlier call sent that failed or panicked.
    pub(super) fn clear(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !self.pipe.nodes[stage].has_buffer() {
            return TokenStream::new();
        }
        let buffer = self.fields.use_of(self.pipe, Field::Buffer(stage));
        hygienic!(#me.#buffer.clear();)
    }

    /// Goes on with what a call gives.
    pub(super) fn gives(&mut self, stage: usize, call: TokenStream, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        match node.sig.gives {
            Gives::Unit if node.is_end() && node.is_async() => {
                let taken = self.tally.sent(self.pipe, stage);
                hygienic!(let () = #call; #taken)
            }
            Gives::Unit if node.is_end() => {
                let taken = self.tally.sent(self.pipe, stage);
                hygienic!(#call; #taken)
            }
            Gives::Unit => {
                let sent = self.sent(stage, me);
                hygienic!(#call; #sent)
            }
            Gives::One => self.one(stage, call, me),
            Gives::Keep => {
                let sent = self.sent(stage, me);
                hygienic!(if #call { #sent })
            }
            Gives::Option => {
                let sent = self.sent(stage, me);
                hygienic!(if let Some(x) = #call { #sent })
            }
            Gives::Result => self.result(stage, call, hygienic!(Ok(x)), TokenStream::new(), me),
            Gives::ResultOption => self.result(
                stage,
                call,
                hygienic!(Ok(Some(x))),
                hygienic!(Ok(None) => {}),
                me,
            ),
            Gives::UnitResult => {
                self.result(stage, call, hygienic!(Ok(())), TokenStream::new(), me)
            }
            Gives::Many if node.has_buffer() => {
                let buffer = self.fields.use_of(self.pipe, Field::Buffer(stage));
                let drain = self.emitted(stage, me);
                hygienic!(#me.#buffer.extend(#call); #drain)
            }
            Gives::Many => self.many(stage, call, me),
            Gives::Emit => {
                let drain = self.emitted(stage, me);
                hygienic!(#call; #drain)
            }
            Gives::EmitResult => {
                let drain = self.emitted(stage, me);
                let error = self.error(stage, me);
                hygienic!(match #call { Ok(()) => { #drain } #error })
            }
            // Sources, and stages that are called with a batch.
            Gives::Flow | Gives::Splittable | Gives::Verdicts | Gives::Judged => TokenStream::new(),
        }
    }

    pub(super) fn one(&mut self, stage: usize, call: TokenStream, me: &Ident) -> TokenStream {
        if !self.pipe.variants(stage).is_empty() && !self.pipe.calls.end_at(stage) {
            return self.route(stage, call, me);
        }
        let sent = self.sent(stage, me);
        if self.pipe.nodes[stage].is_async() {
            return sent;
        }
        hygienic!(let x = #call; #sent)
    }

    /// Counts `x` as sent, and goes on with it.
    pub(in crate::emit) fn sent(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !self.pipe.variants(stage).is_empty() {
            let routed = self.route(stage, self.item_of(stage), me);
            if !self.pipe.calls.end_at(stage) {
                return routed;
            }
            let Leaving { copies, end } = calls::answer(self.pipe, stage, true);
            return hygienic!(#copies #end #routed);
        }
        let count = self.tally.sent(self.pipe, stage);
        self.counted(Output { stage, door: None }, count, me)
    }

    /// `x`, at the name of the stage that sent it.
    pub(super) fn item_of(&self, stage: usize) -> TokenStream {
        let span = self.pipe.nodes[stage].ident.span();
        quote_spanned!(span.resolved_at(Span::mixed_site())=> x)
    }

    /// Goes on by variant.
    pub(super) fn route(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        let ty = route_type(self.pipe, stage);
        let variants = self.pipe.variants(stage);
        let arms: Vec<TokenStream> = variants
            .into_iter()
            .map(|(door, span)| {
                let variant = spanned(door, span);
                let count = self.tally.door(self.pipe, stage, door);
                let after = self.counted(
                    Output {
                        stage,
                        door: Some(door),
                    },
                    count,
                    me,
                );
                hygienic!(#ty::#variant(x) => { #after })
            })
            .collect();
        hygienic!(match #value { #(#arms)* })
    }

    pub(super) fn result(
        &mut self,
        stage: usize,
        call: TokenStream,
        ok: TokenStream,
        none: TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let sent = if self.pipe.nodes[stage].is_end() {
            self.tally.sent(self.pipe, stage)
        } else {
            self.sent(stage, me)
        };
        let error = self.error(stage, me);
        hygienic! {
            match #call {
                #ok => { #sent }
                #none
                #error
            }
        }
    }

    /// The arm of a failed item.
    pub(in crate::emit) fn error(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let rt = self.pipe.rt();
        let id = &self.pipe.nodes[stage].id;
        let count = self.tally.failed(self.pipe, stage);
        let told = self.tell_guard(stage, me);
        let output = Output {
            stage,
            door: Some("Err"),
        };
        let read = !self.pipe.readers(output).is_empty();
        let Leaving { copies, end } = calls::failure(self.pipe, stage, read);
        let retries = retries(self.pipe, stage);
        if read {
            let after = self.counted(output, count, me);
            if retries {
                return self.try_again(stage, &after, me);
            }
            return hygienic!(Err(x) => { #told #copies #end #after });
        }
        let on_error = self.pipe.model.stages[stage]
            .options
            .on_error
            .as_ref()
            .map(|given| given.value);
        match on_error {
            Some(OnError::Stop) => {
                let shown = self.pipe.shown(stage);
                if retries {
                    let after = hygienic!(#count #rt::stop_with(#id, #shown(&x)));
                    return self.try_again(stage, &after, me);
                }
                if end.is_empty() {
                    return hygienic!(Err(x) => { #told #count #rt::stop_with(#id, #shown(&x)) });
                }
                hygienic!(Err(x) => { #told let error = #shown(&x); #end #count #rt::stop_with(#id, error) })
            }
            _ if retries => self.try_again(stage, &count, me),
            _ if end.is_empty() && told.is_empty() => hygienic!(Err(_) => { #count }),
            _ => hygienic!(Err(x) => { #told #end #count }),
        }
    }

    /// Many outputs from an iterator that borrows no state.
    pub(super) fn many(&mut self, stage: usize, call: TokenStream, me: &Ident) -> TokenStream {
        let (rt, id) = (self.pipe.rt(), &self.pipe.nodes[stage].id);
        if self.only_pushes(stage) {
            let sent = self.sent(stage, me);
            return hygienic!(for x in #call { #sent });
        }
        let watch = self.fields.use_of(self.pipe, Field::Watch);
        let sent = self.sent(stage, &mixed("s"));
        hygienic! {
            let xs = #call;
            #rt::each(#me.#watch, #me, t, #id, xs, |s, x, t| { #sent });
        }
    }

    /// `true` if what the stage sends goes to one link and nowhere else, so that nothing in between can panic.
    pub(super) fn only_pushes(&self, stage: usize) -> bool {
        if !self.pipe.variants(stage).is_empty() {
            return false;
        }
        matches!(self.pipe.readers(Output { stage, door: None }).as_slice(), [one] if !self.runs(one.stage))
    }

    /// Many outputs from the stage's `Emit`.
    pub(super) fn emitted(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let (rt, id) = (self.pipe.rt(), &self.pipe.nodes[stage].id);
        let (watch, buffer) = (
            self.fields.use_of(self.pipe, Field::Watch),
            self.fields.use_of(self.pipe, Field::Buffer(stage)),
        );
        let sent = self.sent(stage, &mixed("s"));
        hygienic! {
            #rt::each_emitted(#me.#watch, #me, t, #id, |s| s.#buffer, |s, x, t| { #sent });
        }
    }
}
