//! Guarded stages: what the runtime is told of them, and what stands around their calls.

use pipewright_spec::{
    info::{FieldValue, RateInfo},
    model::{DIVERTED, Gives, Takes},
    options::{Group, GroupField, Value},
    plan::Class,
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    calls::link_item,
    fields::Field,
    flow::{Flow, hygienic, letter},
    futures,
    pinned::is_divided,
    pipe::{Output, Pipe, spanned},
};
use crate::place::Place;

/// What the runtime is told of each guarded stage.
pub(crate) fn infos(pipe: &Pipe<'_>) -> Vec<TokenStream> {
    let rt = pipe.rt();
    let guarded = pipe.model.stages.iter().enumerate();
    let guarded = guarded.filter(|(_, stage)| stage.is_guarded());
    let info = |(at, stage): (usize, &pipewright_spec::model::Stage<Place>)| {
        let id = &pipe.nodes[at].id;
        let breaker = stage.options.breaker.as_ref();
        let breaker = breaker.map_or_else(|| quote!(None), |given| group(&rt, &given.value));
        let retry = stage.options.retry.as_ref();
        let retry = retry.map_or_else(|| quote!(None), |given| group(&rt, &given.value));
        let workers = stage.options.workers.as_ref();
        let workers = workers.map(|given| Literal::u32_unsuffixed(given.value));
        let workers = workers.map_or_else(|| quote!(None), |most| quote!(Some(#most)));
        let timeout = stage.options.timeout.as_ref();
        let timeout = timeout.map(|given| Literal::u64_unsuffixed(given.value.ns()));
        let timeout = timeout.map_or_else(|| quote!(None), |ns| quote!(Some(#ns)));
        let rate = stage.options.rate.as_ref().map(|given| given.value.info());
        let rate = match rate {
            None => quote!(None),
            Some(RateInfo { items, per_ns }) => {
                let (items, per_ns) = (
                    Literal::u64_unsuffixed(items),
                    Literal::u64_unsuffixed(per_ns),
                );
                quote!(Some(#rt::RateInfo { items: #items, per_ns: #per_ns }))
            }
        };
        quote!(#rt::GuardInfo { stage: #id, workers: #workers, timeout_ns: #timeout, rate: #rate, retry: #retry, breaker: #breaker })
    };
    guarded.map(info).collect()
}

pub(crate) fn group(rt: &Ident, group: &Group<Place>) -> TokenStream {
    let fields = group.fields.iter().filter_map(|field| one(rt, field));
    quote!(Some(&[#(#fields),*]))
}

fn one(rt: &Ident, field: &GroupField<Place>) -> Option<TokenStream> {
    let name = field.name;
    let value = match field.value.as_field()? {
        FieldValue::Count(count) => {
            let count = Literal::u64_unsuffixed(count);
            quote!(Count(#count))
        }
        FieldValue::Time(ns) => {
            let ns = Literal::u64_unsuffixed(ns);
            quote!(Time(#ns))
        }
        FieldValue::Word(word) => quote!(Word(#word)),
        FieldValue::Words(words) => quote!(Words(&[#(#words),*])),
    };
    Some(quote!(#rt::FieldInfo { name: #name, value: #rt::FieldValue::#value }))
}

/// `true` if items of a stage may leave by `::Err` without a call.
pub(super) fn refuses(pipe: &Pipe<'_>, stage: usize) -> bool {
    let Some(breaker) = &pipe.model.stages[stage].options.breaker else {
        return false;
    };
    let dead = breaker.value.find("on_open");
    breaker.value.find("hold").is_some()
        || dead.is_some_and(|field| matches!(field.value, Value::Word("dead_letter")))
}

/// `true` if another function takes the place of a stage whose breaker is open.
pub(crate) fn falls_back(pipe: &Pipe<'_>, stage: usize) -> bool {
    fallback(pipe, stage).is_some()
}

/// The name of that function, where it is written.
fn fallback(pipe: &Pipe<'_>, stage: usize) -> Option<Ident> {
    let breaker = pipe.model.stages[stage].options.breaker.as_ref()?;
    let field = breaker.value.find("fallback")?;
    let Value::Name(name) = &field.value else {
        return None;
    };
    let span = field.place.span().or(pipe.literal);
    Some(spanned(name, span.unwrap_or_else(Span::call_site)))
}

/// `true` if something asks what the errors of a stage say.
fn tells(pipe: &Pipe<'_>, stage: usize) -> bool {
    pipe.model.stages[stage].options.breaker.is_some() || retries(pipe, stage)
}

/// `true` if a stage tries items again that failed.
pub(crate) fn retries(pipe: &Pipe<'_>, stage: usize) -> bool {
    pipe.model.stages[stage].options.retry.is_some()
}

/// `true` if what a segment makes is put in the order of its items afterwards, because they may be tried again behind others, or because
/// they are futures.
pub(crate) fn reorders(pipe: &Pipe<'_>, segment: usize) -> bool {
    let plan = &pipe.plan.segments[segment];
    if plan.awaits {
        // Futures end in any order.
        return !futures::leaves_ahead(pipe, segment);
    }
    // Of a batch those that failed come behind the others, also where nothing else overtakes them.
    let overtakes = |stage: usize| plan.class == Class::Parallel || pipe.nodes[stage].is_batch();
    let mut stages = plan.stages.iter().copied();
    stages.any(|stage| retries(pipe, stage) && overtakes(stage))
}

/// The type of the items in the carriers of a guarded stage.
pub(crate) fn item_type(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let (rt, item) = (pipe.rt(), link_item(pipe, stage));
    match is_divided(pipe, stage) {
        true => hygienic!(#rt::Hashed<#item>),
        false => item,
    }
}

impl Flow<'_> {
    /// The call of a stage; where its breaker may turn the item away, an error in its place.
    pub(super) fn guarded_call(
        &mut self,
        stage: usize,
        call: TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let pipe = self.pipe;
        if let Some(function) = fallback(pipe, stage) {
            return self.or_fallback(stage, call, &function, me);
        }
        if !refuses(pipe, stage) || pipe.nodes[stage].is_async() {
            return call;
        }
        let guard = self.fields.use_of(pipe, Field::Guard(stage));
        let refused = of_error(pipe, stage, "refused");
        hygienic! {
            match #me.#guard.refusal() {
                None => #call,
                Some(refused) => Err(#refused(refused)),
            }
        }
    }

    /// The call of a stage, or of the function that takes its place; the item is `x`.
    fn or_fallback(
        &mut self,
        stage: usize,
        call: TokenStream,
        function: &Ident,
        me: &Ident,
    ) -> TokenStream {
        let pipe = self.pipe;
        let node = &pipe.nodes[stage];
        let guard = self.fields.use_of(pipe, Field::Guard(stage));
        let made = self.fallback_call(stage, function, me);
        let made = match node.sig.gives {
            Gives::ResultOption => hygienic!(Ok(Some(#made))),
            Gives::EmitResult => {
                let buffer = self.fields.use_of(pipe, Field::Buffer(stage));
                hygienic!({ #me.#buffer.send(#made); Ok(()) })
            }
            _ => hygienic!(Ok(#made)),
        };
        hygienic! {
            match #me.#guard.refusal() {
                None => #call,
                Some(_) => #made,
            }
        }
    }

    /// The call of the function that takes the place of a stage; the item is `x`.
    fn fallback_call(&mut self, stage: usize, function: &Ident, me: &Ident) -> TokenStream {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let env = self.fields.use_of(pipe, Field::Env);
        let span = function.span().resolved_at(Span::mixed_site());
        let marker = pipe.marker_at(stage, span);
        quote_spanned!(span=> #rt::fallback::<#marker, _, _, _>(x, #me.#env, #function))
    }

    /// Hands an item on that the breaker of its stage turns away, where that is what follows; the item is `x`.
    pub(super) fn divert(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let pipe = self.pipe;
        if !pipe.model.stages[stage].diverts() {
            return TokenStream::new();
        }
        let guard = self.fields.use_of(pipe, Field::Guard(stage));
        let handed_on = self.diverted(stage, me);
        hygienic! {
            if #me.#guard.refusal().is_some() {
                #handed_on
                return;
            }
        }
    }

    /// Counts `x` as diverted, and hands it on.
    fn diverted(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let count = self.tally.diverted(self.pipe, stage);
        let output = Output {
            stage,
            door: Some(DIVERTED),
        };
        self.counted(output, count, me)
    }

    /// What becomes of `x`, which the breaker turns away, where it does not become an error.
    pub(super) fn instead(&mut self, stage: usize, me: &Ident) -> Option<TokenStream> {
        let pipe = self.pipe;
        if pipe.model.stages[stage].diverts() {
            return Some(self.diverted(stage, me));
        }
        let function = fallback(pipe, stage)?;
        let made = self.fallback_call(stage, &function, me);
        Some(match pipe.nodes[stage].is_end() {
            true => {
                let taken = self.tally.sent(pipe, stage);
                hygienic!(#made; #taken)
            }
            false => {
                let sent = self.sent(stage, me);
                hygienic!(let x = #made; #sent)
            }
        })
    }

    /// The arm of an error, where the item may be tried again: `after` is what follows if it is not.
    pub(super) fn try_again(
        &mut self,
        stage: usize,
        after: &TokenStream,
        me: &Ident,
    ) -> TokenStream {
        let pipe = self.pipe;
        let guard = self.fields.use_of(pipe, Field::Guard(stage));
        // An error that nobody reads ends here.
        let x = match super::segment::mentions(after, "x") {
            true => hygienic!(x),
            false => hygienic!(_),
        };
        if pipe.nodes[stage].is_batch() {
            let class = class(pipe, stage);
            return hygienic!(Err(error) => if let Some(#x) = #me.#guard.again_of_batch(error, #class) { #after });
        }
        let tag = match self.tagged() {
            true => {
                let tag = self.fields.use_of(pipe, Field::Tag);
                hygienic!(#me.#tag)
            }
            false => hygienic!(0),
        };
        let rt = pipe.rt();
        let kept = match pipe.nodes[stage].sig.takes {
            Takes::ItemRef => hygienic!(x),
            _ => hygienic!(saved),
        };
        let kept = match is_divided(pipe, stage) {
            true => hygienic!(#rt::Hashed { hash, item: #kept }),
            false => kept,
        };
        let class = class(pipe, stage);
        hygienic!(Err(error) => if let Some(#x) = #me.#guard.again(error, #tag, #kept, #class) { #after })
    }

    /// What becomes of `value`, which comes to a batch stage, where the breaker turns it away with `refused`.
    pub(super) fn turned_away(
        &mut self,
        stage: usize,
        value: &TokenStream,
        me: &Ident,
    ) -> Option<TokenStream> {
        let pipe = self.pipe;
        let node = &pipe.nodes[stage];
        let id = &node.id;
        if let Some(instead) = self.instead(stage, me) {
            self.fields.use_of(pipe, Field::Guard(stage));
            return Some(hygienic!(let (x, _) = (#value, refused); t.at = #id; #instead));
        }
        if !refuses(pipe, stage) {
            return None;
        }
        self.fields.use_of(pipe, Field::Guard(stage));
        let (error, refused) = (self.error(stage, me), of_error(pipe, stage, "refused"));
        let kept = match letter::keeper(pipe, stage) {
            Some(_) => hygienic!(let kept = #value;),
            None => hygienic!(::core::mem::drop(#value);),
        };
        Some(hygienic! {
            t.at = #id;
            #kept
            match Err::<(), _>(#refused(refused)) { Ok(()) => {} #error }
        })
    }

    /// Notes that the verdict on the next item of a batch comes.
    pub(super) fn tell_verdict(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !tells(self.pipe, stage) {
            return TokenStream::new();
        }
        let guard = self.fields.use_of(self.pipe, Field::Guard(stage));
        if retries(self.pipe, stage) && self.tagged() {
            let tag = self.fields.use_of(self.pipe, Field::Tag);
            return hygienic!(#me.#tag = #me.#guard.verdict(););
        }
        hygienic!(#me.#guard.verdict();)
    }

    /// Keeps copies of the batch `xs`, with which a stage is called that tries items again.
    pub(super) fn save_all(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !retries(self.pipe, stage) {
            return TokenStream::new();
        }
        let guard = self.fields.use_of(self.pipe, Field::Guard(stage));
        let save = saved(self.pipe, stage);
        hygienic!(#me.#guard.called_with(&xs, #save);)
    }

    /// Tells the guard of a stage of the error `x`.
    pub(super) fn tell_guard(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !tells(self.pipe, stage) || retries(self.pipe, stage) {
            return TokenStream::new();
        }
        let guard = self.fields.use_of(self.pipe, Field::Guard(stage));
        let class = class(self.pipe, stage);
        hygienic!(#me.#guard.failed(&x, #class);)
    }
}

/// Tells the guard of a stage, if it has one, of the error `x` of an item that will not be tried again.
pub(crate) fn tell(flow: &mut Flow<'_>, stage: usize, me: &Ident) -> TokenStream {
    let pipe = flow.pipe;
    if !tells(pipe, stage) {
        return TokenStream::new();
    }
    let guard = flow.fields.use_of(pipe, Field::Guard(stage));
    let class = class(pipe, stage);
    hygienic!(#me.#guard.failed(&x, #class);)
}

/// What a letter says about an error of a guarded stage, besides where its item came from.
pub(crate) fn told(
    flow: &mut Flow<'_>,
    stage: usize,
    error: &TokenStream,
    me: &Ident,
) -> Option<TokenStream> {
    let pipe = flow.pipe;
    let is_asked = pipe.model.stages.get(stage).is_some() && tells(pipe, stage);
    is_asked.then(|| {
        let guard = flow.fields.use_of(pipe, Field::Guard(stage));
        let class = class(pipe, stage);
        hygienic!(.told(#class(&#error).0, #me.#guard.attempts()))
    })
}

/// What a dry run has to know of a guarded stage.
pub(crate) fn dry(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let (ident, id) = (&pipe.nodes[stage].ident, &pipe.nodes[stage].id);
    let mut lines = TokenStream::new();
    if tells(pipe, stage) {
        let class = class(pipe, stage);
        lines.extend(hygienic!(a.guarded::<#ident>(#id, #class);));
    }
    if retries(pipe, stage) {
        let kept = saved(pipe, stage);
        lines.extend(hygienic!(a.keeps::<#ident>(#id, #kept);));
    }
    if refuses(pipe, stage) {
        let refused = of_error(pipe, stage, "refused");
        lines.extend(hygienic!(a.refuses::<#ident>(#id, #refused);));
    }
    if let Some(function) = fallback(pipe, stage) {
        let (rt, span) = (pipe.rt(), function.span().resolved_at(Span::mixed_site()));
        let marker = pipe.marker_at(stage, span);
        let call = quote_spanned!(span=> |item, env| #rt::fallback::<#marker, _, _, _>(item, env, #function));
        lines.extend(hygienic!(a.falls_back::<#ident>(#id, #call);));
    }
    let diverted = Output {
        stage,
        door: Some(DIVERTED),
    };
    if let Some(span) = pipe.copy_span(diverted) {
        let rt = pipe.rt();
        let (ty, producer) = (
            pipe.projection_at(stage, "In", span),
            pipe.marker_at(stage, span),
        );
        let copy = quote_spanned!(span=> #rt::copy::<#ty, #producer>);
        lines.extend(hygienic!(a.diverted_copies::<#ident>(#id, #copy);));
    }
    if pipe.nodes[stage].is_async() && pipe.model.stages[stage].options.timeout.is_some() {
        let late = of_error(pipe, stage, "timed_out");
        lines.extend(hygienic!(a.times_out::<#ident>(#id, #late);));
    }
    lines
}

/// The item of a stage that may be tried again, kept before the call; its item is `x`.
pub(super) fn save(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    if !retries(pipe, stage) || pipe.nodes[stage].sig.takes == Takes::ItemRef {
        return TokenStream::new();
    }
    let kept = saved(pipe, stage);
    hygienic!(let saved = #kept(&x);)
}

/// `rt::saved::<_, enrich>`, for errors that are shown at the item of the stage.
fn saved(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let span = pipe.nodes[stage]
        .def
        .item_span()
        .resolved_at(Span::mixed_site());
    let (rt, ident) = (pipe.rt(), pipe.marker_at(stage, span));
    quote_spanned!(span=> #rt::saved::<_, #ident>)
}

/// The constants that tell what the errors of stages say, each said once for all that ask.
pub(crate) fn classes(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let stages = (0..pipe.nodes.len()).filter(|stage| tells(pipe, *stage));
    let constant = |stage: usize| {
        let (name, err) = (class(pipe, stage), pipe.projection(stage, "Err"));
        let told = of_error(pipe, stage, "class_of");
        hygienic!(const #name: #rt::ClassFn<#err> = #told;)
    };
    stages.map(constant).collect()
}

/// The name of that constant.
fn class(pipe: &Pipe<'_>, stage: usize) -> Ident {
    pipe.item(format!("{}_CLASS", pipe.nodes[stage].id))
}

/// `rt::class_of::<<enrich as rt::StageFn>::Err>`, for errors that are shown at the error type of the stage.
pub(crate) fn of_error(pipe: &Pipe<'_>, stage: usize, what: &str) -> TokenStream {
    let err = &pipe.nodes[stage].sig.err;
    let span = err
        .as_ref()
        .map_or_else(Span::call_site, syn::spanned::Spanned::span);
    let span = span.resolved_at(Span::mixed_site());
    let (rt, err) = (pipe.rt(), pipe.projection_at(stage, "Err", span));
    let what = Ident::new(what, span);
    quote_spanned!(span=> #rt::#what::<#err>)
}
