//! `Graph` and `Local`: the sources, links and states of a pipeline, and how its segments call each other.

mod alone;
mod awaiting;
mod guarded;
mod open;
mod pinned;
mod together;

use pipewright_spec::{
    model::{Gives, StateKind},
    plan::LinkKind,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{
    calls::{key_fn, link_item},
    fields::Field,
    flow::{Mode, ahead, hygienic},
    futures,
    guards::falls_back,
    pinned::{has_all_keys, is_divided},
    pipe::{Pipe, mixed},
    segment::{Loop, head_type, mentions},
    tally::heads,
};

/// The loops of a pipeline: one for each segment, and that of a worker alone.
pub(crate) struct Loops {
    pub(crate) segments: Vec<Loop>,
    pub(crate) solo: Loop,
}

/// What the emitter of the graph works on.
pub(crate) struct Glue<'g, 'p> {
    pub(crate) pipe: &'g Pipe<'p>,
    pub(crate) loops: &'g Loops,
}

impl Glue<'_, '_> {
    /// All items.
    pub(crate) fn emit(&self) -> TokenStream {
        let (graph, local, implementation, methods) = (
            self.graph(),
            self.local(),
            self.implementation(),
            self.methods(),
        );
        hygienic! {
            #graph
            #local
            #implementation
            #methods
        }
    }

    fn sources(&self) -> Vec<usize> {
        heads(self.pipe, Mode::Solo)
    }

    /// The field of a source or a link in the graph.
    fn source_field(&self, source: usize) -> Ident {
        self.pipe
            .nodes
            .get(source)
            .map_or_else(|| mixed("input"), |node| node.field.clone())
    }

    fn link_field(&self, link: usize) -> Ident {
        self.pipe.nodes[self.pipe.plan.links[link].to].field.clone()
    }

    /// `true` if anything uses the environment.
    fn has_env(&self) -> bool {
        let mut nodes = self.pipe.nodes.iter().enumerate();
        nodes.any(|(at, node)| {
            let finds = self.pipe.model.stages[at].options.prefetch.as_ref();
            let finds = finds.is_some_and(|given| given.value.is_none());
            node.sig.env.is_some() || node.sig.has_state() || finds || falls_back(self.pipe, at)
        })
    }

    /// The stages of a segment whose states its link holds.
    fn serial_states(&self, segment: usize) -> Vec<usize> {
        let stages = &self.pipe.plan.segments[segment].stages;
        stages
            .iter()
            .copied()
            .filter(|stage| self.pipe.nodes[*stage].state == StateKind::Serial)
            .collect()
    }

    /// Type parameters of the graph, and their bounds.
    fn generics(&self) -> (TokenStream, TokenStream) {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let (mut params, mut bounds) = (TokenStream::new(), TokenStream::new());
        for (at, source) in self.sources().into_iter().enumerate() {
            let Some(node) = pipe.nodes.get(source) else {
                continue;
            };
            let (param, out) = (pipe.source_param(at), pipe.projection(source, "Out"));
            params.extend(hygienic!(#param,));
            bounds.extend(match node.sig.gives {
                Gives::Many => hygienic!(#param: Iterator<Item = #out> + Send,),
                Gives::Flow => {
                    let state = pipe.projection(source, "State");
                    hygienic!(#param: Fn(&mut #state, &mut ::pipewright::Emit<#out>) -> ::pipewright::Flow + Send + Sync,)
                }
                _ => hygienic!(#param: #rt::Splittable<Item = #out>,),
            });
        }
        for stage in 0..pipe.nodes.len() {
            if is_divided(pipe, stage) {
                let (key, item) = (pipe.key_param(stage), link_item(pipe, stage));
                params.extend(hygienic!(#key,));
                bounds.extend(hygienic!(#key: #rt::KeyFn<#item>,));
            }
        }
        let (of_futures, their_bounds) = futures::generics(pipe);
        params.extend(of_futures);
        bounds.extend(their_bounds);
        let bounds = if bounds.is_empty() {
            bounds
        } else {
            hygienic!(where #bounds)
        };
        (params, bounds)
    }

    fn graph(&self) -> TokenStream {
        let (pipe, rt, graph) = (self.pipe, self.pipe.rt(), self.pipe.item("Graph"));
        let (params, bounds) = self.generics();
        let env_type = pipe.env_type();
        let (lifetime, env) = match self.has_env() {
            true => (hygienic!('e,), hygienic!(env: &'e #rt::Common<#env_type>,)),
            false => (TokenStream::new(), TokenStream::new()),
        };
        let sources = self.sources().into_iter().enumerate().map(|(at, source)| {
            let (field, ty) = (self.source_field(source), self.source_type(at, source));
            hygienic!(#field: #ty,)
        });
        let links = (0..pipe.plan.links.len()).map(|at| {
            let (field, ty) = (self.link_field(at), self.link_type(at));
            hygienic!(#field: #ty,)
        });
        let futures = self.async_stages().map(|(stage, segment, _)| {
            let field = pipe.fields.futures(stage);
            let ty = futures::field_type(pipe, stage, &self.outs_type(segment));
            hygienic!(#field: #ty,)
        });
        hygienic! {
            /// The sources, and the links with the states behind them.
            struct #graph<#lifetime #params> #bounds {
                #env
                #(#sources)*
                #(#links)*
                #(#futures)*
            }
        }
    }

    /// The async stages, with the segment and the link of each.
    fn async_stages(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let pipe = self.pipe;
        futures::stages(pipe).filter_map(move |stage| {
            let link = pipe.plan.link_to(stage)?;
            Some((stage, pipe.plan.links[link].segment, link))
        })
    }

    fn source_type(&self, at: usize, source: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let Some(node) = pipe.nodes.get(source) else {
            let item = head_type(pipe, source);
            return hygienic!(#rt::IngressSource<#item>);
        };
        let (param, out) = (pipe.source_param(at), pipe.projection(source, "Out"));
        match node.sig.gives {
            Gives::Many => hygienic!(#rt::IterSource<#param>),
            Gives::Flow => {
                let state = pipe.projection(source, "State");
                hygienic!(#rt::PollSource<#state, #out, #param>)
            }
            _ => hygienic!(#rt::SplitSource<#param>),
        }
    }

    fn link_type(&self, at: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let link = &pipe.plan.links[at];
        let item = link_item(pipe, link.to);
        if let Some(ty) = self.pinned_type(at, &item) {
            return ty;
        }
        match link.kind {
            LinkKind::Ring => TokenStream::new(),
            LinkKind::Direct => hygienic!(#rt::Direct<#item>),
            LinkKind::Ordered | LinkKind::Arrival => {
                let states = self
                    .serial_states(link.segment)
                    .into_iter()
                    .map(|stage| pipe.projection(stage, "State"));
                let state = tuple(states.collect());
                hygienic!(#rt::Serial<#item, #state>)
            }
            LinkKind::Keyed { .. } => {
                let (key, state) = (pipe.key_param(link.to), pipe.projection(link.to, "State"));
                hygienic!(#rt::KeyedLink<#item, #key, #state>)
            }
        }
    }

    /// The fields that each worker has for itself.
    fn own(&self) -> Vec<(Field, Ident)> {
        let pipe = self.pipe;
        let own = |field: &Field| match field {
            Field::State(stage) => {
                pipe.nodes[*stage].state == StateKind::PerWorker && !self.is_pinned(*stage)
            }
            Field::Buffer(stage)
            | Field::Batch(stage)
            | Field::Calls(stage)
            | Field::Ahead(stage) => !self.is_pinned(*stage),
            _ => false,
        };
        self.loops
            .solo
            .fields
            .iter()
            .filter(own)
            .map(|field| (field, pipe.fields.of(field).clone()))
            .collect()
    }

    fn local(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let fields = self.own().into_iter().map(|(field, name)| {
            let ty = match field {
                Field::Buffer(stage) => {
                    let out = pipe.projection(stage, "Out");
                    hygienic!(::pipewright::Emit<#out>)
                }
                Field::Batch(stage) => {
                    let item = pipe.projection(stage, "In");
                    hygienic!(#rt::Collector<#item>)
                }
                Field::Calls(_) => hygienic!(#rt::CallsOf<Pipeline>),
                Field::Ahead(stage) => {
                    let item = link_item(pipe, stage);
                    hygienic!(#rt::Ahead<#item>)
                }
                Field::State(stage) => pipe.projection(stage, "State"),
                _ => TokenStream::new(),
            };
            hygienic!(#name: #ty,)
        });
        hygienic! {
            /// What each worker has for itself.
            struct #local {
                #(#fields)*
            }
        }
    }

    fn new_local(&self) -> TokenStream {
        let local = self.pipe.item("Local");
        let fields = self.own().into_iter().filter_map(|(field, name)| {
            let value = self.own_value(field)?;
            Some(hygienic!(#name: #value,))
        });
        hygienic!(#local { #(#fields)* })
    }

    /// What a worker, or a pinned thread, has for itself at the beginning; `None` for fields that each batch sets.
    fn own_value(&self, field: Field) -> Option<TokenStream> {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        match field {
            Field::Buffer(_) => Some(hygienic!(::pipewright::Emit::new())),
            Field::Batch(stage) => {
                let id = &pipe.nodes[stage].id;
                Some(hygienic!(w.collector(#id)))
            }
            Field::Calls(_) => Some(hygienic!(#rt::CallsOf::new())),
            Field::Ahead(stage) => {
                let distance = ahead::distance(pipe, stage);
                Some(hygienic!(#rt::Ahead::new(#distance)))
            }
            Field::State(stage) if is_divided(pipe, stage) => None,
            Field::State(stage) if has_all_keys(pipe, stage) => {
                let key = key_fn(pipe, stage);
                Some(hygienic!(#rt::Keys::new(#key)))
            }
            Field::State(stage) => {
                let ident = &pipe.nodes[stage].ident;
                Some(hygienic!(<#ident as #rt::Init<_>>::init(self.env.get())?))
            }
            Field::Watch
            | Field::Env
            | Field::Tag
            | Field::Whence
            | Field::Kept(_)
            | Field::Guard(_)
            | Field::Out(_) => None,
        }
    }

    fn implementation(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let (params, bounds) = self.generics();
        let (graph, lifetime) = (
            pipe.item("Graph"),
            self.has_env()
                .then(|| quote_spanned!(Span::mixed_site()=> '_,)),
        );
        let new_local = self.new_local();
        let w = if mentions(&new_local, "w") {
            hygienic!(w)
        } else {
            hygienic!(_)
        };
        let (pull, task, solo, flush) = (self.pull(), self.task(), self.solo(), self.flush());
        let (retire, finish, pinned) = (self.retire(), self.finish(), self.pinned());
        hygienic! {
            impl<#params> #rt::Graph for #graph<#lifetime #params> #bounds {
                type Local = #local;

                fn local(&self, #w: &#rt::Worker<'_>) -> Result<#local, #rt::InitError> {
                    Ok(#new_local)
                }
                #pull
                #task
                #solo
                #flush
                #retire
                #finish
                #pinned
            }
        }
    }
}

/// `name: value,`, or just `name,`.
fn initial(name: &Ident, value: TokenStream) -> TokenStream {
    if *name == value.to_string() {
        return hygienic!(#name,);
    }
    hygienic!(#name: #value,)
}

/// `()`, `a` or `(a, b)`.
fn tuple(parts: Vec<TokenStream>) -> TokenStream {
    match parts.as_slice() {
        [one] => one.clone(),
        parts => hygienic!((#(#parts),*)),
    }
}
