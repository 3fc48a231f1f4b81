//! Workers together: what each of them pulls, which segment a task belongs to, and how segments hand on.

use pipewright_spec::{
    model::StateKind,
    plan::{Class, Head, INPUT, LinkKind},
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{Glue, hygienic, initial, tuple};
use crate::emit::{
    calls::link_item,
    fields::Field,
    flow::{Mode, letter},
    futures,
    pipe::mixed,
    segment::{context, head_type, mentions},
    vector,
};

impl Glue<'_, '_> {
    pub(super) fn pull(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        let pool: Vec<(usize, usize)> = self
            .sources()
            .into_iter()
            .enumerate()
            .filter(|(_, source)| *source == INPUT || !self.is_pinned(*source))
            .collect();
        if pool.is_empty() {
            return hygienic! {
                fn pull(&self, _: usize, _: &mut #local, _: &mut #rt::Worker<'_>) -> #rt::Pulled {
                    #rt::Pulled::Done
                }
            };
        }
        let arms = pool.into_iter().map(|(at, source)| {
            let (number, field) = (Literal::usize_unsuffixed(at), self.source_field(source));
            let segment = self
                .segment_of(source)
                .map(|segment| self.segment_method(segment));
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
    pub(super) fn segment_of(&self, source: usize) -> Option<usize> {
        self.pipe
            .plan
            .segments
            .iter()
            .position(|segment| match segment.head {
                Head::Source(head) => head == source,
                Head::Input => source == INPUT,
                Head::Link(_) => false,
            })
    }

    /// The method that runs a segment.
    pub(super) fn segment_method(&self, segment: usize) -> Ident {
        match self.pipe.plan.segments[segment].head {
            Head::Link(link) if self.pipe.plan.links[link].kind != LinkKind::Direct => {
                format_ident!("enter_{}", self.link_field(link), span = Span::mixed_site())
            }
            _ => format_ident!("segment_{segment}", span = Span::mixed_site()),
        }
    }

    pub(super) fn task(&self) -> TokenStream {
        let (rt, local) = (self.pipe.rt(), self.pipe.item("Local"));
        let arms: Vec<TokenStream> = self
            .pipe
            .plan
            .links
            .iter()
            .enumerate()
            .filter(|(_, link)| !self.pipe.plan.segments[link.segment].is_pinned())
            .map(|(at, link)| {
                let (number, method) = (
                    Literal::u16_unsuffixed(at as u16),
                    self.segment_method(link.segment),
                );
                hygienic!(#number => self.#method(task.open(), local, w),)
            })
            .chain(self.tails())
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

    /// What runs the tails of what sources gave: they wait at the source's place behind the links. Loops for vector levels
    /// leave none.
    fn tails(&self) -> impl Iterator<Item = TokenStream> {
        let pipe = self.pipe;
        let sources = self.sources().into_iter().enumerate();
        sources.filter_map(move |(at, source)| {
            let segment = self.segment_of(source)?;
            let plain = vector::levels(pipe, Mode::Segment(segment)).is_empty();
            if !plain || pipe.plan.segments[segment].is_pinned() {
                return None;
            }
            let number = Literal::u16_unsuffixed((pipe.plan.links.len() + at) as u16);
            let (method, item) = (self.segment_method(segment), head_type(pipe, source));
            Some(hygienic!(#number => self.#method(task.open::<#item>(), local, w),))
        })
    }

    /// The methods that run the segments.
    pub(super) fn methods(&self) -> TokenStream {
        let pipe = self.pipe;
        let (params, bounds) = self.generics();
        let (graph, lifetime) = (
            pipe.item("Graph"),
            self.has_env()
                .then(|| quote_spanned!(Span::mixed_site()=> '_,)),
        );
        let methods = (0..pipe.plan.segments.len()).map(|segment| self.segment(segment));
        hygienic! {
            impl<#params> #graph<#lifetime #params> #bounds {
                #(#methods)*
            }
        }
    }

    pub(super) fn segment(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        if pipe.plan.segments[segment].is_pinned() {
            return self.pinned_segment(segment);
        }
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
                let item = link_item(pipe, pipe.plan.links[link].to);
                match pipe.plan.links[link].kind {
                    LinkKind::Direct => self.plain_segment(segment, hygienic!(#rt::Carrier<#item>)),
                    LinkKind::Keyed { .. } => {
                        let (name, verb) = (
                            pipe.fields.of(Field::State(pipe.plan.links[link].to)),
                            mixed("serve"),
                        );
                        self.gate(
                            segment,
                            link,
                            verb,
                            hygienic!(#rt::Carrier<#rt::Hashed<#item>>),
                            hygienic!(#name),
                        )
                    }
                    _ => {
                        let names = self.serial_states(segment).into_iter().map(|stage| {
                            let name = pipe.fields.of(Field::State(stage));
                            hygienic!(#name)
                        });
                        let states = tuple(names.collect());
                        self.gate(
                            segment,
                            link,
                            mixed("enter"),
                            hygienic!(#rt::Carrier<#item>),
                            states,
                        )
                    }
                }
            }
        }
    }

    pub(super) fn plain_segment(&self, segment: usize, load: TokenStream) -> TokenStream {
        let (rt, local, name) = (
            self.pipe.rt(),
            self.pipe.item("Local"),
            self.segment_method(segment),
        );
        let body = self.run(segment);
        let local_name = if mentions(&body, "local") {
            hygienic!(local)
        } else {
            hygienic!(_)
        };
        hygienic! {
            fn #name(&self, load: #load, #local_name: &mut #local, w: &mut #rt::Worker<'_>) {
                #body
            }
        }
    }

    /// A segment behind a gate, which hands out its state.
    pub(super) fn gate(
        &self,
        segment: usize,
        link: usize,
        verb: Ident,
        load: TokenStream,
        state: TokenStream,
    ) -> TokenStream {
        let (rt, local, name) = (
            self.pipe.rt(),
            self.pipe.item("Local"),
            self.segment_method(segment),
        );
        let (body, field) = (self.run(segment), self.link_field(link));
        let local_name = if mentions(&body, "local") {
            hygienic!(local)
        } else {
            hygienic!(_)
        };
        hygienic! {
            fn #name(&self, load: #load, #local_name: &mut #local, w: &mut #rt::Worker<'_>) {
                self.#field.#verb(load, w, |#state, load, w| {
                    #body
                });
            }
        }
    }

    /// Drives the items of `load` through a segment and hands its outputs on.
    pub(super) fn run(&self, segment: usize) -> TokenStream {
        let pipe = self.pipe;
        let plan = &pipe.plan.segments[segment];
        let carried = plan.outs.iter().filter(|out| !self.is_ring(out.link));
        let outs = carried.map(|out| {
            let (field, base) = (
                self.link_field(out.link),
                Literal::u16_unsuffixed(out.base as u16),
            );
            let carrier = self.carrier(out.link);
            hygienic!(let mut #carrier = self.#field.carrier(watch, &load, #base);)
        });
        if let Some(stage) = futures::stage_of(pipe, segment) {
            return self.run_async(segment, stage);
        }
        if plan.guarded {
            return self.run_guarded(segment);
        }
        let name = context(pipe, Mode::Segment(segment));
        let fields = self.loops.segments[segment].fields.iter().map(|field| {
            let name = pipe.fields.of(field);
            let value = match plan.is_pinned() {
                _ if field == Field::Whence => letter::whence(pipe, segment),
                true => self.pinned_field(field),
                false => self.segment_field(field),
            };
            initial(name, value)
        });
        let drive = self.drive(segment);
        let hand_on = self.hand_on_all(segment);
        // What goes into a ring is seen by its reader before anything else is handed on.
        let close = plan
            .outs
            .iter()
            .any(|out| self.is_ring(out.link))
            .then(|| hygienic!(::core::mem::drop(cx);));
        hygienic! {
            let watch = w.watch();
            #(#outs)*
            let mut cx = #name { #(#fields)* };
            #drive
            #close
            #(#hand_on)*
        }
    }

    /// The call of the item loop.
    fn drive(&self, segment: usize) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let mode = Mode::Segment(segment);
        let plain = vector::levels(pipe, mode).is_empty();
        let name = mixed(match (pipe.plan.segments[segment].tagged, plain) {
            (false, true) => "drive",
            (true, true) => "drive_tagged",
            (false, false) => "drive_vector",
            (true, false) => "drive_tagged_vector",
        });
        if plain {
            return hygienic!(#rt::#name(watch, load, &mut cx, |cx, x, t| cx.item(x, t)););
        }
        let (using, copies) = (vector::using(pipe), vector::copies(pipe, mode, INPUT));
        hygienic! {
            #using
            #rt::#name::<0, _, _, _>(watch, load, &mut cx, #copies);
        }
    }

    pub(super) fn segment_field(&self, field: Field) -> TokenStream {
        let pipe = self.pipe;
        let name = pipe.fields.of(field);
        match field {
            Field::Watch => hygienic!(watch),
            Field::Env => hygienic!(self.env.get()),
            Field::Tag => hygienic!(0),
            Field::Kept(_) => hygienic!(None),
            Field::Out(_) => hygienic!(&mut #name),
            Field::Guard(stage) if pipe.nodes[stage].is_async() => hygienic!(&flight),
            Field::Guard(_) => hygienic!(&guard),
            Field::State(stage) if pipe.nodes[stage].state != StateKind::PerWorker => {
                hygienic!(#name)
            }
            _ => hygienic!(&mut local.#name),
        }
    }

    /// The carrier that a segment fills for a link.
    pub(super) fn carrier(&self, link: usize) -> &Ident {
        self.pipe
            .fields
            .of(Field::Out(self.pipe.plan.links[link].to))
    }

    /// Hands all outputs of a segment on. What lies on the stack below a call that hangs cannot be taken from there, so those
    /// that lead to a stage whose calls are watched come last, and of several all but one are left for any worker.
    pub(super) fn hand_on_all(&self, segment: usize) -> Vec<TokenStream> {
        let plan = &self.pipe.plan.segments[segment];
        let at_once = plan.class == Class::Parallel && !plan.is_pinned();
        let links = plan.outs.iter().map(|out| out.link);
        let (mut last, first): (Vec<_>, Vec<_>) =
            links.partition(|link| at_once && self.may_hang(*link, &mut Vec::new()));
        let inline = last.pop();
        let left = last.into_iter().map(|link| {
            let (field, carrier) = (self.link_field(link), self.carrier(link));
            hygienic!(self.#field.post(#carrier, w);)
        });
        let inline = inline.map(|link| self.hand_on(segment, link));
        let first = first.into_iter().map(|link| self.hand_on(segment, link));
        first.chain(left).chain(inline).collect()
    }

    /// May a call hang that is made before what comes to `link` now is handed on?
    fn may_hang(&self, link: usize, seen: &mut Vec<usize>) -> bool {
        let link = &self.pipe.plan.links[link];
        let to = &self.pipe.plan.segments[link.segment];
        // A keyed link leaves its parts for any worker, and a pinned segment has its own.
        let at_once = !matches!(link.kind, LinkKind::Keyed { .. }) && !to.is_pinned();
        if !at_once || seen.contains(&link.segment) {
            return false;
        }
        seen.push(link.segment);
        let watched = |stage: &usize| self.pipe.model.stages[*stage].watches_calls();
        // Who holds a gate leaves its outputs for any worker.
        let further = to.class == Class::Parallel;
        to.stages.iter().any(watched)
            || further && to.outs.iter().any(|out| self.may_hang(out.link, seen))
    }

    /// Carries a filled carrier on now, or leaves it for later where a gate is held.
    pub(super) fn hand_on(&self, segment: usize, link: usize) -> TokenStream {
        if let Some(handed) = self.hand_to_or_from_pinned(segment, link) {
            return handed;
        }
        let class = self.pipe.plan.segments[segment].class;
        let (field, carrier) = (self.link_field(link), self.carrier(link));
        let method = self.segment_method(self.pipe.plan.links[link].segment);
        match (class, self.pipe.plan.links[link].kind) {
            (Class::Serial | Class::Keyed, _) => hygienic!(self.#field.post(#carrier, w);),
            (_, LinkKind::Keyed { .. }) => hygienic!(self.#field.enter(#carrier, w);),
            (_, LinkKind::Direct) => {
                hygienic!(if self.#field.is_wanted(&#carrier) { self.#method(#carrier, local, w); })
            }
            _ => hygienic!(self.#method(#carrier, local, w);),
        }
    }
}
