//! The body of an item loop: calls of stages nested as the plan says, so that rustc sees the loop that an expert
//! would write.
//!
//! One emitter serves both modes. In a segment, what a stage of another segment reads is pushed to the link
//! between them; alone, a worker calls every stage directly.

pub(crate) mod ahead;
mod batch;
mod gives;
pub(crate) mod letter;

use std::collections::HashSet;

use pipewright_spec::{
    model::{DIVERTED, StateKind, Takes},
    plan::INPUT,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{
    calls::{self, Leaving},
    fields::{Field, Fields},
    guards::{self, falls_back, reorders},
    pinned::is_divided,
    pipe::{Node, Output, Pipe, Reader, mixed},
    tally::Tally,
};
use crate::signature::Role;

/// Tokens whose locals are hygienic.
macro_rules! hygienic {
    ($($tokens:tt)*) => { quote_spanned!(Span::mixed_site()=> $($tokens)*) };
}
pub(crate) use hygienic;

/// Where a loop runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In a segment, beside other workers.
    Segment(usize),
    /// Through the whole pipeline, by a worker that has it to itself.
    Solo,
}

/// The loop body of a segment while it is emitted.
pub(crate) struct Flow<'p> {
    pub(crate) pipe: &'p Pipe<'p>,
    pub(crate) mode: Mode,
    pub(crate) fields: Fields,
    pub(crate) tally: Tally,
    /// Methods of stages that are reached from several places, and of batch stages.
    pub(crate) methods: Vec<TokenStream>,
    done: HashSet<Method>,
}

/// A method that was emitted.
#[derive(PartialEq, Eq, Hash)]
enum Method {
    Enter(usize),
    Ahead(usize),
    Flush(usize),
}

impl<'p> Flow<'p> {
    pub(crate) fn new(pipe: &'p Pipe<'p>, mode: Mode) -> Flow<'p> {
        let tally = Tally::new(pipe, mode);
        Flow {
            pipe,
            mode,
            fields: Fields::default(),
            tally,
            methods: Vec::new(),
            done: HashSet::new(),
        }
    }

    /// `true` if a stage runs in this loop.
    pub(crate) fn runs(&self, stage: usize) -> bool {
        match self.mode {
            Mode::Solo => true,
            Mode::Segment(segment) => self.pipe.plan.segments[segment].stages.contains(&stage),
        }
    }

    pub(crate) fn tagged(&self) -> bool {
        matches!(self.mode, Mode::Segment(segment) if self.pipe.plan.segments[segment].tagged || reorders(self.pipe, segment))
    }

    /// What happens to `x`, which a source sent. `me` is the loop's context.
    pub(crate) fn send_from(&mut self, source: usize, me: &Ident) -> TokenStream {
        if source != INPUT && !self.pipe.variants(source).is_empty() {
            return self.route(source, self.item_of(source), me);
        }
        self.counted(
            Output {
                stage: source,
                door: None,
            },
            TokenStream::new(),
            me,
        )
    }

    /// What happens to `x`, which an output sent: it is counted and handed to the readers.
    ///
    /// Copies are made before the item is counted and handed on, because a `Clone` may panic, and its call is answered, because
    /// a late answer is dropped there; then links are served, which cannot panic; then the stages of this loop.
    pub(crate) fn counted(
        &mut self,
        output: Output<'_>,
        count: TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let mut readers = self.pipe.readers(output);
        // A stage with `prefetch` is called with an earlier item, whose panic must not keep this one from other readers.
        readers.sort_by_key(|reader| {
            let waits = self.pipe.prefetch(reader.stage).is_some();
            (self.runs(reader.stage), waits)
        });
        let call = self.call_leaves(output, &readers);
        let Some((last, others)) = readers.split_last() else {
            let end = call.end;
            return hygienic!(#end #count);
        };
        let (mut copies, end, mut steps) = (call.copies, call.end, TokenStream::new());
        for (at, reader) in others.iter().enumerate() {
            let name = mixed(&format!("x{}", at + 1));
            let copy = self.copy(output);
            copies.extend(hygienic!(let #name = #copy;));
            steps.extend(match self.runs(reader.stage) {
                true => self.apart(output, reader, &readers[at + 1..], &name, me),
                false => self.reach(output, reader, hygienic!(#name), me),
            });
        }
        let step = self.reach(output, last, hygienic!(x), me);
        hygienic!(#copies #end #count #steps #step)
    }

    /// What happens to the call of `x`, which an output sent.
    fn call_leaves(&self, output: Output<'_>, readers: &[Reader]) -> Leaving {
        let answers = output.stage != INPUT && self.pipe.calls.end_at(output.stage);
        if answers && output.door.is_none() {
            return calls::answer(self.pipe, output.stage, !readers.is_empty());
        }
        let readers: Vec<usize> = readers.iter().map(|reader| reader.stage).collect();
        calls::leaving(self.pipe, output, &readers)
    }

    /// Hands a copy to one of several readers in this loop, so that its panic keeps nothing from the `others`.
    fn apart(
        &mut self,
        output: Output<'_>,
        reader: &Reader,
        others: &[Reader],
        value: &Ident,
        me: &Ident,
    ) -> TokenStream {
        let rt = self.pipe.rt();
        let watch = self.fields.use_of(self.pipe, Field::Watch);
        let step = self.reach(output, reader, hygienic!(#value), &mixed("s"));
        let others = others.iter().map(|other| &self.pipe.nodes[other.stage].id);
        hygienic!(#rt::apart(#me.#watch, #me, t, &[#(#others),*], |s, t| { #step });)
    }

    /// `rt::copy::<_, decode>(&x)`, at the reader that makes it necessary.
    fn copy(&self, output: Output<'_>) -> TokenStream {
        let rt = self.pipe.rt();
        let span = self.pipe.copy_span(output).unwrap_or_else(Span::mixed_site);
        let producer = self.producer(output, span);
        quote_spanned!(span=> #rt::copy::<_, #producer>(&x))
    }

    /// The marker of the stage whose output it is, at the place where `from` names it.
    fn producer(&self, output: Output<'_>, from: Span) -> TokenStream {
        match output.stage {
            INPUT => {
                let input = self.pipe.item("input");
                hygienic!(#input)
            }
            stage => {
                let ident = self.pipe.marker_at(stage, from);
                hygienic!(#ident)
            }
        }
    }

    /// Hands `value` to one reader: over a link, to its method, or by going on right here.
    fn reach(
        &mut self,
        output: Output<'_>,
        reader: &Reader,
        value: TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let value = match self.letter(output, reader, &value, me) {
            Some(letter) => letter,
            None => self.link(output, reader, value),
        };
        let bound = calls::bound(self.pipe, output, reader.stage);
        let step = self.enter(reader.stage, value, me);
        hygienic!(#bound #step)
    }

    /// The conversion that checks that the types meet, at the parameter of the reader.
    pub(super) fn link(
        &self,
        output: Output<'_>,
        reader: &Reader,
        value: TokenStream,
    ) -> TokenStream {
        let rt = self.pipe.rt();
        let (reads, producer) = (
            &self.pipe.nodes[reader.stage],
            self.producer(output, reader.from),
        );
        let span = reads.def.item_span().resolved_at(Span::mixed_site());
        let consumer = self.pipe.marker_at(reader.stage, span);
        let fallible = self
            .pipe
            .nodes
            .get(output.stage)
            .is_some_and(Node::fallible);
        match output.door {
            Some("Err") if fallible => {
                quote_spanned!(span=> #rt::err_link::<#producer, #consumer>(#value))
            }
            Some(DIVERTED) if self.pipe.model.stages[output.stage].diverts() => {
                quote_spanned!(span=> #rt::diverted_link::<#producer, #consumer>(#value))
            }
            Some(_) => quote_spanned!(span=> #rt::Held(#value).link::<#producer, #consumer>()),
            None if matches!(reads.sig.takes, Takes::Slice | Takes::SliceMut) => {
                quote_spanned!(span=> #rt::slice_link::<#producer, #consumer>(#value))
            }
            None => quote_spanned!(span=> #rt::link::<#producer, #consumer>(#value)),
        }
    }

    /// Lets `value`, which has the type that the stage takes, go into the stage; where calls pass it, with `call`.
    pub(crate) fn enter(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        if !self.runs(stage) {
            return self.push(stage, value, me);
        }
        if self.pipe.inputs(stage).len() > 1 {
            let (method, call) = (self.method(stage), calls::argument(self.pipe, stage));
            return hygienic!(#me.#method(#value, #call t););
        }
        self.call(stage, value, me)
    }

    fn push(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        let out = self.fields.use_of(self.pipe, Field::Out(stage));
        let rt = self.pipe.rt();
        let value = match self.pipe.calls.pass(stage) {
            true => hygienic!(#rt::Called::new(#value, call)),
            false => value,
        };
        let reorders = matches!(self.mode, Mode::Segment(segment) if reorders(self.pipe, segment));
        let tagged = |link: usize| self.pipe.plan.links[link].tagged;
        if reorders || (self.tagged() && self.pipe.link_to(stage).is_some_and(tagged)) {
            let tag = self.fields.use_of(self.pipe, Field::Tag);
            return hygienic!(#me.#out.push_tagged(#me.#tag, #value););
        }
        hygienic!(#me.#out.push(#value);)
    }

    /// The method of a stage that several outputs reach.
    fn method(&mut self, stage: usize) -> Ident {
        self.item_method("to", Method::Enter(stage), stage, Self::call)
    }

    /// A method that takes an item of the stage; `body` emits what it does with it.
    fn item_method(
        &mut self,
        prefix: &str,
        method: Method,
        stage: usize,
        body: fn(&mut Self, usize, TokenStream, &Ident) -> TokenStream,
    ) -> Ident {
        let field = &self.pipe.nodes[stage].field;
        let name = format_ident!("{prefix}_{field}", span = Span::mixed_site());
        if self.done.insert(method) {
            let (input, call) = (
                self.pipe.projection(stage, "In"),
                calls::param(self.pipe, stage),
            );
            let tally = self.tally.ident();
            let body = body(self, stage, hygienic!(x), &mixed("self"));
            self.methods.push(hygienic! {
                #[inline(always)]
                fn #name(&mut self, x: #input, #call t: &mut #tally) {
                    #body
                }
            });
        }
        name
    }

    /// Calls the stage with `value` and goes on with what it gives.
    pub(crate) fn call(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        if node.is_batch() {
            return self.collect(stage, value, me);
        }
        if self.pipe.prefetch(stage).is_some() {
            return self.look_ahead(stage, value, me);
        }
        self.call_now(stage, value, me)
    }

    /// As [`Self::call`], for an item whose turn it is.
    fn call_now(&mut self, stage: usize, value: TokenStream, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        if node.is_async() {
            return self.landed(stage, me);
        }
        let id = &node.id;
        let (keep, save) = (
            self.keep_for_letters(stage, me),
            guards::save(self.pipe, stage),
        );
        let turned_away = self.pipe.model.stages[stage].diverts() || falls_back(self.pipe, stage);
        let needs_name = !keep.is_empty() || !save.is_empty() || turned_away;
        let (before, item) = match node.sig.takes {
            Takes::ItemMut => (hygienic!(let mut x = #value;), hygienic!(&mut x)),
            Takes::ItemRef => (hygienic!(let x = #value;), hygienic!(&x)),
            _ if needs_name && value.to_string() != "x" => {
                (hygienic!(let x = #value;), hygienic!(x))
            }
            _ => self.state_needs_item(stage, value),
        };
        let enters = calls::enter(self.pipe, stage);
        let found = self.found(stage, me);
        let state = calls::with_item(self.pipe, stage, self.state(stage, me));
        let call = self.function(stage, item, me);
        let call = self.guarded_call(stage, call, me);
        let gives = self.gives(stage, call, me);
        let clear = self.clear(stage, me);
        // A call comes into the stage even where its item leaves it uncalled.
        let divert = self.divert(stage, me);
        let (divert, enters) = match divert.is_empty() {
            true => (divert, enters),
            false => (hygienic!(#enters #divert), None),
        };
        hygienic! {
            #before
            t.at = #id;
            #divert
            #keep
            #save
            #enters
            #found
            #state
            #clear
            #gives
        }
    }

    /// Goes on with `x`, which a future of the stage has given.
    fn landed(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let id = &self.pipe.nodes[stage].id;
        let enters = calls::enter(self.pipe, stage);
        let gives = self.gives(stage, hygienic!(x), me);
        hygienic!(t.at = #id; #enters #gives)
    }

    /// A keyed stage looks at the item's key before it gives the item away.
    fn state_needs_item(&self, stage: usize, value: TokenStream) -> (TokenStream, TokenStream) {
        match self.pipe.nodes[stage].state {
            StateKind::Keyed if value.to_string() == "x" => (TokenStream::new(), value),
            StateKind::Keyed => (hygienic!(let x = #value;), hygienic!(x)),
            _ => (TokenStream::new(), value),
        }
    }

    /// Finds the state of the item's key.
    fn state(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        if node.state != StateKind::Keyed {
            return TokenStream::new();
        }
        let (rt, ident) = (self.pipe.rt(), &node.ident);
        let env = self.fields.use_of(self.pipe, Field::Env);
        let state = self.fields.use_of(self.pipe, Field::State(stage));
        let hash = match self.mode {
            Mode::Segment(_) if is_divided(self.pipe, stage) => hygienic!(hash,),
            _ => TokenStream::new(),
        };
        hygienic! {
            let env = #me.#env;
            let state = #me.#state.state(#hash &x, || <#ident as #rt::Init<_>>::init(env));
        }
    }

    /// The call of the user's function.
    pub(super) fn function(&mut self, stage: usize, item: TokenStream, me: &Ident) -> TokenStream {
        let node = &self.pipe.nodes[stage];
        let (rt, ident) = (self.pipe.rt(), &node.ident);
        let args = node.sig.params.iter().map(|role| match role {
            Role::Item => item.clone(),
            Role::Emit => {
                let buffer = self.fields.use_of(self.pipe, Field::Buffer(stage));
                hygienic!(#me.#buffer)
            }
            Role::State if node.state == StateKind::Keyed => hygienic!(state),
            Role::State => {
                let state = self.fields.use_of(self.pipe, Field::State(stage));
                hygienic!(#me.#state)
            }
            Role::Env => {
                let env = self.fields.use_of(self.pipe, Field::Env);
                let span = env_span(node).resolved_at(Span::mixed_site());
                quote_spanned!(span=> #rt::env_for::<#ident, _>(#me.#env))
            }
        });
        let args: Vec<TokenStream> = args.collect();
        // An enum whose variants are not all read is reported at the whole call.
        quote_spanned!(ident.span().resolved_at(Span::mixed_site())=> #ident(#(#args),*))
    }
}

/// The alias through which variants are matched.
pub(crate) fn route_type(pipe: &Pipe<'_>, stage: usize) -> Ident {
    pipe.item(format!(
        "{}Out",
        super::info::camel(&pipe.nodes[stage].name)
    ))
}

/// Where the stage writes its environment.
fn env_span(node: &Node<'_>) -> Span {
    node.sig
        .env
        .as_ref()
        .map_or_else(|| node.def.item.span(), syn::spanned::Spanned::span)
}
