//! `Blueprint::open`: opens the sources and makes the states.

use pipewright_spec::{
    model::{Gives, Stage},
    plan::{INPUT, LinkKind},
};
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{Glue, hygienic, mentions, tuple};
use crate::{
    emit::{calls::key_fn, futures},
    signature::Role,
};

impl Glue<'_, '_> {
    /// The body of `Blueprint::open`.
    pub(crate) fn open(&self) -> TokenStream {
        let pipe = self.pipe;
        let graph = pipe.item("Graph");
        let env = self.has_env().then(|| hygienic!(env: common,));
        let sources = (0..self.sources().len()).map(|at| self.open_source(at));
        let links = (0..pipe.plan.links.len()).map(|at| self.open_link(at));
        let futures = self.async_stages().map(|(stage, _, link)| {
            let field = pipe.fields.futures(stage);
            let link = Literal::u16_unsuffixed(link as u16);
            let value = futures::open(pipe, stage, &hygienic!(#link));
            hygienic!(#field: #value,)
        });
        let made = hygienic!(#graph { #env #(#sources)* #(#links)* #(#futures)* });
        let get = mentions(&made, "env").then(|| hygienic!(let env = common.get();));
        hygienic!(#get Ok(#made))
    }

    pub(super) fn open_source(&self, at: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let source = self.sources()[at];
        let (field, number) = (self.source_field(source), Literal::usize_unsuffixed(at));
        if source == INPUT {
            return hygienic!(#field: #rt::IngressSource::new(site, #number, <Pipeline as #rt::Blueprint>::CROSSING),);
        }
        let node = &pipe.nodes[source];
        let (ident, id, crossing) = (&node.ident, &node.id, pipe.crossing_from(source));
        let env = node.sig.env.as_ref().map(|env| {
            let span = syn::spanned::Spanned::span(env).resolved_at(Span::mixed_site());
            quote_spanned!(span=> #rt::env_for::<#ident, _>(env))
        });
        match node.sig.gives {
            Gives::Many => {
                hygienic!(#field: #rt::IterSource::new(site, #number, #id, #ident(#env), #crossing),)
            }
            Gives::Flow => {
                let (state, poll) = self.poll(source, env);
                if let (true, Some(ty)) = (
                    pipe.model.stages[source].options.rust.acks.is_some(),
                    &node.sig.state,
                ) {
                    let span = syn::spanned::Spanned::span(ty).resolved_at(Span::mixed_site());
                    let ty = pipe.projection_at(source, "State", span);
                    // A stage may give items back to any of them.
                    let acks = match pipe.model.stages.iter().any(Stage::gives_back) {
                        true => quote_spanned!(span=> #rt::acknowledged_and_rewound::<#ty>),
                        false => quote_spanned!(span=> #rt::acknowledged::<#ty>),
                    };
                    return hygienic!(#field: #rt::PollSource::with_acks(site, #number, #id, (#state, #poll), #acks, #crossing)?,);
                }
                hygienic!(#field: #rt::PollSource::new(site, #number, #id, (#state, #poll), #crossing),)
            }
            _ => hygienic!(#field: #rt::SplitSource::new(site, #number, #id, #ident(#env)),),
        }
    }

    /// The state of a polled source, and the closure that polls it.
    pub(super) fn poll(
        &self,
        source: usize,
        env: Option<TokenStream>,
    ) -> (TokenStream, TokenStream) {
        let rt = self.pipe.rt();
        let node = &self.pipe.nodes[source];
        let ident = &node.ident;
        let args: Vec<TokenStream> = node
            .sig
            .params
            .iter()
            .filter_map(|role| match role {
                Role::State => Some(hygienic!(state)),
                Role::Emit => Some(hygienic!(out)),
                Role::Env => env.clone(),
                Role::Item => None,
            })
            .collect();
        let (state, name) = match node.sig.has_state() {
            true => (
                hygienic!(<#ident as #rt::Init<_>>::init(env)?),
                hygienic!(state),
            ),
            false => (hygienic!(()), hygienic!(())),
        };
        (state, hygienic!(move |#name, out| #ident(#(#args),*)))
    }

    pub(super) fn open_link(&self, at: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let link = &pipe.plan.links[at];
        let (field, number) = (self.link_field(at), Literal::u16_unsuffixed(at as u16));
        let crossing = pipe.crossing_link(link.to);
        if let Some(made) = self.open_pinned(at) {
            return hygienic!(#field: #made,);
        }
        match link.kind {
            LinkKind::Ring => TokenStream::new(),
            LinkKind::Direct => {
                let keep = pipe.keeps_empty(link.segment);
                hygienic!(#field: #rt::Direct::new(site, #number, #keep, #crossing),)
            }
            LinkKind::Ordered | LinkKind::Arrival => {
                let states = self.serial_states(link.segment).into_iter().map(|stage| {
                    let ident = &pipe.nodes[stage].ident;
                    hygienic!(<#ident as #rt::Init<_>>::init(env)?)
                });
                let state = tuple(states.collect());
                hygienic!(#field: #rt::Serial::new(site, #number, #state, #crossing),)
            }
            LinkKind::Keyed { .. } => {
                let key = key_fn(pipe, link.to);
                hygienic!(#field: #rt::KeyedLink::new(site, #number, #key, #crossing),)
            }
        }
    }
}
