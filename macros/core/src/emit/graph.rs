//! `Graph` and `Local`: the sources, links and states of a pipeline, and how its segments call each other.

use pipewright_spec::{
    model::{Gives, StateKind},
    plan::{Class, Head, INPUT, LinkKind},
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{
    fields::Field,
    flow::{Mode, hygienic},
    pipe::{Pipe, mixed},
    segment::{Loop, context, head_type, mentions, solo_entry},
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
        let (graph, local, implementation, methods) = (self.graph(), self.local(), self.implementation(), self.methods());
        hygienic! {
            #graph
            #local
            #implementation
            #methods
        }
    }

    /// The body of `Blueprint::open`.
    pub(crate) fn open(&self) -> TokenStream {
        let pipe = self.pipe;
        let graph = pipe.item("Graph");
        let env = self.has_env().then(|| hygienic!(env,));
        let sources = (0..self.sources().len()).map(|at| self.open_source(at));
        let links = (0..pipe.plan.links.len()).map(|at| self.open_link(at));
        hygienic!(Ok(#graph { #env #(#sources)* #(#links)* }))
    }

    fn sources(&self) -> Vec<usize> {
        heads(self.pipe, Mode::Solo)
    }

    /// The field of a source or a link in the graph.
    fn source_field(&self, source: usize) -> Ident {
        self.pipe.nodes.get(source).map_or_else(|| mixed("input"), |node| node.field.clone())
    }

    fn link_field(&self, link: usize) -> Ident {
        self.pipe.nodes[self.pipe.plan.links[link].to].field.clone()
    }

    /// `true` if anything uses the environment.
    fn has_env(&self) -> bool {
        self.pipe.nodes.iter().any(|node| node.sig.env.is_some() || node.sig.has_state())
    }

    fn open_source(&self, at: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let source = self.sources()[at];
        let (field, number) = (self.source_field(source), Literal::usize_unsuffixed(at));
        if source == INPUT {
            return hygienic!(#field: #rt::IngressSource::new(site, #number),);
        }
        let node = &pipe.nodes[source];
        let (ident, id) = (&node.ident, &node.id);
        let env = node.sig.env.as_ref().map(|env| {
            let span = syn::spanned::Spanned::span(env).resolved_at(Span::mixed_site());
            quote_spanned!(span=> #rt::env_for::<#ident, _>(env))
        });
        match node.sig.gives {
            Gives::Many => hygienic!(#field: #rt::IterSource::new(site, #number, #id, #ident(#env)),),
            Gives::Flow => {
                let (state, poll) = self.poll(source, env);
                hygienic!(#field: #rt::PollSource::new(site, #number, #id, #state, #poll),)
            }
            _ => hygienic!(#field: #rt::SplitSource::new(site, #number, #id, #ident(#env)),),
        }
    }

    /// The state of a polled source, and the closure that polls it.
    fn poll(&self, source: usize, env: Option<TokenStream>) -> (TokenStream, TokenStream) {
        use crate::signature::Role;
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
            true => (hygienic!(<#ident as #rt::Init<_>>::init(env)?), hygienic!(state)),
            false => (hygienic!(()), hygienic!(())),
        };
        (state, hygienic!(move |#name, out| #ident(#(#args),*)))
    }

    fn open_link(&self, at: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let link = &pipe.plan.links[at];
        let (field, number) = (self.link_field(at), Literal::u16_unsuffixed(at as u16));
        let ident = &pipe.nodes[link.to].ident;
        match link.kind {
            LinkKind::Direct => {
                let keep = self.keeps_empty(link.segment);
                hygienic!(#field: #rt::Direct::new(site, #number, #keep),)
            }
            LinkKind::Ordered | LinkKind::Arrival => {
                let states = self.serial_states(link.segment).into_iter().map(|stage| {
                    let ident = &pipe.nodes[stage].ident;
                    hygienic!(<#ident as #rt::Init<_>>::init(env)?)
                });
                let state = tuple(states.collect());
                hygienic!(#field: #rt::Serial::new(site, #number, #state),)
            }
            LinkKind::Keyed { .. } => hygienic!(#field: #rt::KeyedLink::new(site, #number, <#ident as #rt::Keyed>::key),),
        }
    }

    /// The stages of a segment whose states its link holds.
    fn serial_states(&self, segment: usize) -> Vec<usize> {
        let stages = &self.pipe.plan.segments[segment].stages;
        stages.iter().copied().filter(|stage| self.pipe.nodes[*stage].state == StateKind::Serial).collect()
    }

    /// `true` if an ordered gate behind a segment counts its carriers, so that also empty ones must go on.
    fn keeps_empty(&self, segment: usize) -> bool {
        let plan = self.pipe.plan;
        let segment = &plan.segments[segment];
        segment.ordered
            && segment.outs.iter().any(|out| {
                self.pipe.is_ordered(out.link)
                    || (plan.links[out.link].kind == LinkKind::Direct && self.keeps_empty(plan.links[out.link].segment))
            })
    }

    /// Type parameters of the graph, and their bounds.
    fn generics(&self) -> (TokenStream, TokenStream) {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let (mut params, mut bounds) = (TokenStream::new(), TokenStream::new());
        for (at, source) in self.sources().into_iter().enumerate() {
            let Some(node) = pipe.nodes.get(source) else { continue };
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
        for (stage, node) in pipe.nodes.iter().enumerate() {
            if node.state == StateKind::Keyed {
                let (key, item) = (pipe.key_param(stage), pipe.projection(stage, "In"));
                params.extend(hygienic!(#key,));
                bounds.extend(hygienic!(#key: #rt::KeyFn<#item>,));
            }
        }
        let bounds = if bounds.is_empty() { bounds } else { hygienic!(where #bounds) };
        (params, bounds)
    }

    fn graph(&self) -> TokenStream {
        let (pipe, graph) = (self.pipe, self.pipe.item("Graph"));
        let (params, bounds) = self.generics();
        let env_type = pipe.env_type();
        let (lifetime, env) = match self.has_env() {
            true => (hygienic!('e,), hygienic!(env: &'e #env_type,)),
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
        hygienic! {
            /// The sources, and the links with the states behind them.
            struct #graph<#lifetime #params> #bounds {
                #env
                #(#sources)*
                #(#links)*
            }
        }
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
        let item = pipe.projection(link.to, "In");
        match link.kind {
            LinkKind::Direct => hygienic!(#rt::Direct<#item>),
            LinkKind::Ordered | LinkKind::Arrival => {
                let states = self.serial_states(link.segment).into_iter().map(|stage| pipe.projection(stage, "State"));
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
            Field::State(stage) => pipe.nodes[*stage].state == StateKind::PerWorker,
            Field::Buffer(_) | Field::Batch(_) => true,
            _ => false,
        };
        self.loops.solo.fields.iter().filter(own).map(|field| (field, pipe.fields.of(field).clone())).collect()
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
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let fields = self.own().into_iter().map(|(field, name)| {
            let value = match field {
                Field::Batch(stage) => {
                    let id = &pipe.nodes[stage].id;
                    hygienic!(w.collector(#id))
                }
                Field::State(stage) => {
                    let ident = &pipe.nodes[stage].ident;
                    hygienic!(<#ident as #rt::Init<_>>::init(self.env)?)
                }
                _ => hygienic!(::pipewright::Emit::new()),
            };
            hygienic!(#name: #value,)
        });
        hygienic!(#local { #(#fields)* })
    }

    fn implementation(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let (params, bounds) = self.generics();
        let (graph, lifetime) = (pipe.item("Graph"), self.has_env().then(|| quote_spanned!(Span::mixed_site()=> '_,)));
        let new_local = self.new_local();
        let w = if mentions(&new_local, "w") { hygienic!(w) } else { hygienic!(_) };
        let (pull, task, solo, flush) = (self.pull(), self.task(), self.solo(), self.flush());
        let (retire, finish) = (self.retire(), self.finish());
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
            }
        }
    }

    fn pull(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        let arms = self.sources().into_iter().enumerate().map(|(at, source)| {
            let (number, field) = (Literal::usize_unsuffixed(at), self.source_field(source));
            let segment = self.segment_of(source).map(|segment| self.segment_method(segment));
            hygienic!(#number => self.#field.pull(w, |load, w| self.#segment(load, local, w)),)
        });
        hygienic! {
            fn pull(&self, source: usize, local: &mut #local, w: &mut #rt::Worker<'_>) -> #rt::Pulled {
                match source {
                    #(#arms)*
                    _ => #rt::Pulled::Done,
                }
            }
        }
    }

    /// The segment that a source heads.
    fn segment_of(&self, source: usize) -> Option<usize> {
        self.pipe.plan.segments.iter().position(|segment| match segment.head {
            Head::Source(head) => head == source,
            Head::Input => source == INPUT,
            Head::Link(_) => false,
        })
    }

    /// The method that runs a segment.
    fn segment_method(&self, segment: usize) -> Ident {
        match self.pipe.plan.segments[segment].head {
            Head::Link(link) if self.pipe.plan.links[link].kind != LinkKind::Direct => {
                format_ident!("enter_{}", self.link_field(link), span = Span::mixed_site())
            }
            _ => format_ident!("segment_{segment}", span = Span::mixed_site()),
        }
    }

    fn task(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        let arms: Vec<TokenStream> = self
            .pipe
            .plan
            .links
            .iter()
            .enumerate()
            .map(|(at, link)| {
                let (number, method) = (Literal::u16_unsuffixed(at as u16), self.segment_method(link.segment));
                hygienic!(#number => self.#method(task.open(), local, w),)
            })
            .collect();
        if arms.is_empty() {
            return hygienic!(fn task(&self, _: #rt::Task, _: &mut #local, _: &mut #rt::Worker<'_>) {});
        }
        hygienic! {
            fn task(&self, task: #rt::Task, local: &mut #local, w: &mut #rt::Worker<'_>) {
                match task.link() {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }

    /// The context of a worker that is alone.
    fn solo_context(&self) -> TokenStream {
        let pipe = self.pipe;
        let mut before = TokenStream::new();
        for (at, link) in pipe.plan.links.iter().enumerate() {
            let states = self.serial_states(link.segment);
            if states.len() > 1 {
                let (field, names) = (self.link_field(at), states.iter().map(|stage| pipe.fields.of(Field::State(*stage))));
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

    fn solo_field(&self, field: Field) -> TokenStream {
        let pipe = self.pipe;
        let name = pipe.fields.of(field);
        match field {
            Field::Watch => hygienic!(w.watch()),
            Field::Env => hygienic!(self.env),
            Field::State(stage) if pipe.nodes[stage].state == StateKind::Keyed => hygienic!(self.#name.solo()),
            Field::State(stage) if pipe.nodes[stage].state == StateKind::Serial => {
                let link = pipe.plan.links.iter().position(|link| self.serial_states(link.segment).contains(&stage));
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

    fn solo(&self) -> TokenStream {
        let (pipe, rt, local) = (self.pipe, self.pipe.rt(), self.pipe.item("Local"));
        let context = self.solo_context();
        let arms = self.sources().into_iter().enumerate().map(|(at, source)| {
            let (number, field) = (Literal::usize_unsuffixed(at), self.source_field(source));
            let entry = solo_entry(pipe, source);
            hygienic!(#number => self.#field.solo(w, &mut solo, |solo, x, t| solo.#entry(x, t)),)
        });
        hygienic! {
            fn solo(&mut self, source: usize, local: &mut #local, w: &mut #rt::Worker<'_>) -> #rt::Pulled {
                #context
                match source {
                    #(#arms)*
                    _ => #rt::Pulled::Done,
                }
            }
        }
    }

    fn flush(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        if !self.loops.solo.flushes {
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

    fn retire(&self) -> TokenStream {
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

    fn finish(&self) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let mut lines = TokenStream::new();
        for (at, link) in pipe.plan.links.iter().enumerate() {
            let (field, states) = (self.link_field(at), self.serial_states(link.segment));
            let ident = |stage: &usize| &pipe.nodes[*stage].ident;
            match states.as_slice() {
                [] => {}
                [one] => {
                    let ident = ident(one);
                    lines.extend(hygienic!(states.put::<#ident>(self.#field.into_state());));
                }
                several => {
                    let names: Vec<&Ident> = several.iter().map(|stage| pipe.fields.of(Field::State(*stage))).collect();
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

    /// The methods that run the segments.
    fn methods(&self) -> TokenStream {
        let pipe = self.pipe;
        let (params, bounds) = self.generics();
        let (graph, lifetime) = (pipe.item("Graph"), self.has_env().then(|| quote_spanned!(Span::mixed_site()=> '_,)));
        let methods = (0..pipe.plan.segments.len()).map(|segment| self.segment(segment));
        hygienic! {
            impl<#params> #graph<#lifetime #params> #bounds {
                #(#methods)*
            }
        }
    }

    fn segment(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        match pipe.plan.segments[segment].head {
            Head::Source(source) => {
                let item = head_type(pipe, source);
                self.plain_segment(segment, hygienic!(impl #rt::Load<Item = #item>))
            }
            Head::Input => {
                let item = head_type(pipe, INPUT);
                self.plain_segment(segment, hygienic!(#rt::Carrier<#item>))
            }
            Head::Link(link) => {
                let item = pipe.projection(pipe.plan.links[link].to, "In");
                match pipe.plan.links[link].kind {
                    LinkKind::Direct => self.plain_segment(segment, hygienic!(#rt::Carrier<#item>)),
                    LinkKind::Keyed { .. } => {
                        let (name, verb) = (pipe.fields.of(Field::State(pipe.plan.links[link].to)), mixed("serve"));
                        self.gate(segment, link, verb, hygienic!(#rt::Carrier<#rt::Hashed<#item>>), hygienic!(#name))
                    }
                    _ => {
                        let names = self.serial_states(segment).into_iter().map(|stage| {
                            let name = pipe.fields.of(Field::State(stage));
                            hygienic!(#name)
                        });
                        let states = tuple(names.collect());
                        self.gate(segment, link, mixed("enter"), hygienic!(#rt::Carrier<#item>), states)
                    }
                }
            }
        }
    }

    fn plain_segment(&self, segment: usize, load: TokenStream) -> TokenStream {
        let (rt, local, name) = (self.pipe.rt(), self.pipe.item("Local"), self.segment_method(segment));
        let body = self.run(segment);
        let local_name = if mentions(&body, "local") { hygienic!(local) } else { hygienic!(_) };
        hygienic! {
            fn #name(&self, load: #load, #local_name: &mut #local, w: &mut #rt::Worker<'_>) {
                #body
            }
        }
    }

    /// A segment behind a gate, which hands out its state.
    fn gate(&self, segment: usize, link: usize, verb: Ident, load: TokenStream, state: TokenStream) -> TokenStream {
        let (rt, local, name) = (self.pipe.rt(), self.pipe.item("Local"), self.segment_method(segment));
        let (body, field) = (self.run(segment), self.link_field(link));
        let local_name = if mentions(&body, "local") { hygienic!(local) } else { hygienic!(_) };
        hygienic! {
            fn #name(&self, load: #load, #local_name: &mut #local, w: &mut #rt::Worker<'_>) {
                self.#field.#verb(load, w, |#state, load, w| {
                    #body
                });
            }
        }
    }

    /// Drives the items of `load` through a segment and hands its outputs on.
    fn run(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let plan = &pipe.plan.segments[segment];
        let outs = plan.outs.iter().map(|out| {
            let (field, base) = (self.link_field(out.link), Literal::u16_unsuffixed(out.base as u16));
            hygienic!(let mut #field = self.#field.carrier(watch, &load, #base);)
        });
        let name = context(pipe, Mode::Segment(segment));
        let fields = self.loops.segments[segment].fields.iter().map(|field| {
            let (name, value) = (pipe.fields.of(field), self.segment_field(field));
            initial(name, value)
        });
        let drive = if plan.tagged { mixed("drive_tagged") } else { mixed("drive") };
        let hand_on = plan.outs.iter().map(|out| self.hand_on(plan.class, out.link));
        hygienic! {
            let watch = w.watch();
            #(#outs)*
            let mut cx = #name { #(#fields)* };
            #rt::#drive(watch, load, &mut cx, |cx, x, t| cx.item(x, t));
            #(#hand_on)*
        }
    }

    fn segment_field(&self, field: Field) -> TokenStream {
        let pipe = self.pipe;
        let name = pipe.fields.of(field);
        match field {
            Field::Watch => hygienic!(watch),
            Field::Env => hygienic!(self.env),
            Field::Tag => hygienic!(0),
            Field::Out(stage) => {
                let field = &pipe.nodes[stage].field;
                hygienic!(&mut #field)
            }
            Field::State(stage) if pipe.nodes[stage].state != StateKind::PerWorker => hygienic!(#name),
            _ => hygienic!(&mut local.#name),
        }
    }

    /// Carries a filled carrier on now, or leaves it for later where a gate is held.
    fn hand_on(&self, class: Class, link: usize) -> TokenStream {
        let field = self.link_field(link);
        let method = self.segment_method(self.pipe.plan.links[link].segment);
        match (class, self.pipe.plan.links[link].kind) {
            (Class::Serial | Class::Keyed, _) => hygienic!(self.#field.post(#field, w);),
            (_, LinkKind::Keyed { .. }) => hygienic!(self.#field.enter(#field, w);),
            (_, LinkKind::Direct) => hygienic!(if self.#field.is_wanted(&#field) { self.#method(#field, local, w); }),
            _ => hygienic!(self.#method(#field, local, w);),
        }
    }
}

/// `name: value,`, or just `name,`.
fn initial(name: &Ident, value: TokenStream) -> TokenStream {
    match value.to_string() == name.to_string() {
        true => hygienic!(#name,),
        false => hygienic!(#name: #value,),
    }
}

/// `()`, `a` or `(a, b)`.
fn tuple(parts: Vec<TokenStream>) -> TokenStream {
    match parts.as_slice() {
        [one] => one.clone(),
        parts => hygienic!((#(#parts),*)),
    }
}
