//! A worker alone: the context of its loop, and where the states go when the run has ended.

use pipewright_spec::model::StateKind;
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Glue, hygienic, initial};
use crate::emit::{
    fields::Field,
    flow::{Mode, letter},
    pinned::is_never_alone,
    segment::{context, solo_entry},
    vector,
};

impl Glue<'_, '_> {
    /// The context of a worker that is alone.
    pub(super) fn solo_context(&self) -> TokenStream {
        let pipe = self.pipe;
        let mut before = TokenStream::new();
        for (at, link) in pipe.plan.links.iter().enumerate() {
            let states = self.serial_states(link.segment);
            if states.len() > 1 {
                let (field, names) = (
                    self.link_field(at),
                    states
                        .iter()
                        .map(|stage| pipe.fields.of(Field::State(*stage))),
                );
                before.extend(hygienic!(let (#(#names),*) = self.#field.state();));
            }
        }
        let fields = self.loops.solo.fields.iter().map(|field| {
            let name = pipe.fields.of(field);
            let value = self.solo_field(field);
            initial(name, value)
        });
        let solo = context(pipe, Mode::Solo);
        hygienic!(#before let mut solo = #solo { #(#fields)* };)
    }

    pub(super) fn solo_field(&self, field: Field) -> TokenStream {
        let pipe = self.pipe;
        let name = pipe.fields.of(field);
        match field {
            Field::Watch => hygienic!(w.watch()),
            Field::Env => hygienic!(self.env.get()),
            Field::Whence => letter::whence_alone(pipe),
            Field::Kept(_) => hygienic!(None),
            Field::State(stage) if pipe.nodes[stage].state == StateKind::Keyed => {
                hygienic!(self.#name.solo())
            }
            Field::State(stage) if pipe.nodes[stage].state == StateKind::Serial => {
                let link = pipe
                    .plan
                    .links
                    .iter()
                    .position(|link| self.serial_states(link.segment).contains(&stage));
                match link {
                    Some(link) if self.serial_states(pipe.plan.links[link].segment).len() == 1 => {
                        let field = self.link_field(link);
                        hygienic!(self.#field.state())
                    }
                    _ => hygienic!(#name),
                }
            }
            _ => hygienic!(&mut local.#name),
        }
    }

    pub(super) fn solo(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        if is_never_alone(pipe) {
            return hygienic! {
                fn solo(&mut self, _: usize, _: &mut #local, _: &mut #rt::Worker<'_>) -> #rt::Pulled {
                    #rt::Pulled::Done
                }
            };
        }
        let context = self.solo_context();
        let vector = !vector::levels(pipe, Mode::Solo).is_empty();
        let using = vector.then(|| vector::using(pipe));
        let arms = self.sources().into_iter().enumerate().map(|(at, source)| {
            let (number, field) = (Literal::usize_unsuffixed(at), self.source_field(source));
            if vector {
                let copies = vector::copies(pipe, Mode::Solo, source);
                return hygienic!(#number => self.#field.solo_vector::<#number, _, _>(w, &mut solo, #copies),);
            }
            let entry = solo_entry(pipe, source);
            hygienic!(#number => self.#field.solo(w, &mut solo, |solo, x, t| solo.#entry(x, t)),)
        });
        hygienic! {
            fn solo(&mut self, source: usize, local: &mut #local, w: &mut #rt::Worker<'_>) -> #rt::Pulled {
                #using
                #context
                match source {
                    #(#arms)*
                    _ => #rt::Pulled::Done,
                }
            }
        }
    }

    pub(super) fn flush(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        if !self.loops.solo.flushes || is_never_alone(self.pipe) {
            return hygienic!(fn flush(&mut self, _: &mut #local, _: &mut #rt::Worker<'_>, _: #rt::Due) {});
        }
        let context = self.solo_context();
        hygienic! {
            fn flush(&mut self, local: &mut #local, w: &mut #rt::Worker<'_>, due: #rt::Due) {
                #context
                #rt::flush(w.watch(), &mut solo, due);
            }
        }
    }

    pub(super) fn retire(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let states: Vec<TokenStream> = self
            .own()
            .into_iter()
            .filter_map(|(field, name)| match field {
                Field::State(stage) => {
                    let ident = &pipe.nodes[stage].ident;
                    Some(hygienic!((&#rt::Leave::<#ident>::new()).leave(local.#name, states);))
                }
                _ => None,
            })
            .collect();
        if states.is_empty() {
            return hygienic!(fn retire(_: #local, _: &#rt::States) {});
        }
        hygienic! {
            fn retire(local: #local, states: &#rt::States) {
                use #rt::{LeaveDropped as _, LeaveMerged as _};
                #(#states)*
            }
        }
    }

    pub(super) fn finish(&self) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let mut lines = TokenStream::new();
        for (at, link) in pipe.plan.links.iter().enumerate() {
            // A pinned thread leaves its states itself.
            if pipe.plan.segments[link.segment].is_pinned() {
                continue;
            }
            let (field, states) = (self.link_field(at), self.serial_states(link.segment));
            let ident = |stage: &usize| &pipe.nodes[*stage].ident;
            match states.as_slice() {
                [] => {}
                [one] => {
                    let ident = ident(one);
                    lines.extend(hygienic!(states.put::<#ident>(self.#field.into_state());));
                }
                several => {
                    let names: Vec<&Ident> = several
                        .iter()
                        .map(|stage| pipe.fields.of(Field::State(*stage)))
                        .collect();
                    let idents = several.iter().map(ident);
                    lines.extend(hygienic!(let (#(#names),*) = self.#field.into_state(); #(states.put::<#idents>(#names);)*));
                }
            }
        }
        if lines.is_empty() {
            return hygienic!(fn finish(self, _: &#rt::States) {});
        }
        hygienic!(fn finish(self, states: &#rt::States) { #lines })
    }
}
