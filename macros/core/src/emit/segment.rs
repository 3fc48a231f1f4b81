//! A loop: its counts, its context, its body, and what the runtime asks of it.

use pipewright_spec::{
    model::StateKind,
    plan::{Head, INPUT},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};

use super::{
    calls::{link_item, parted, queued},
    fields::{Field, Fields, field_type},
    flow::{Flow, Mode, hygienic},
    futures,
    pinned::is_divided,
    pipe::{Output, Pipe, Reader, mixed},
    tally::heads,
    vector,
};
use crate::public;

/// A loop that was emitted.
pub(crate) struct Loop {
    /// Its items.
    pub(crate) tokens: TokenStream,
    /// The fields of its context.
    pub(crate) fields: Fields,
    /// `true` if it has batches to flush.
    pub(crate) flushes: bool,
}

/// The name of a loop's context.
pub(crate) fn context(pipe: &Pipe<'_>, mode: Mode) -> Ident {
    match mode {
        Mode::Segment(segment) => pipe.item(format!("Segment{segment}")),
        Mode::Solo => pipe.item("Solo"),
    }
}

/// The method through which items of a source enter the loop of a worker that is alone.
pub(crate) fn solo_entry(pipe: &Pipe<'_>, source: usize) -> Ident {
    let name = pipe.nodes.get(source).map_or("input", |node| &node.name);
    format_ident!("from_{}", mixed(name), span = Span::mixed_site())
}

/// Emits the loop of a segment, or that of the whole pipeline.
pub(crate) fn emit(pipe: &Pipe<'_>, mode: Mode) -> Loop {
    let mut flow = Flow::new(pipe, mode);
    let entries = entries(&mut flow);
    let vectors = vector::entries(&mut flow);
    let stages: Vec<usize> = pipe
        .plan
        .order
        .iter()
        .copied()
        .filter(|at| runs(&flow, *at))
        .collect();
    let (flush, flushes) = flush(&mut flow, &stages);
    let reset = reset(&mut flow, &stages);
    let panicked = flow.panicked(&stages);
    let tally = flow.tally.emit(pipe, mode, &stages);
    let definition = definition(&flow, mode);
    let (rt, name, tally_name) = (pipe.rt(), context(pipe, mode), flow.tally.ident());
    let (params, bounds) = generics(pipe, mode, &flow.fields);
    let lifetime = needs_lifetime(&flow.fields).then(|| quote_spanned!(Span::mixed_site()=> '_,));
    let methods = &flow.methods;
    let vectors = vectors.iter().map(|(number, items)| {
        hygienic! {
            impl<#params> #rt::Vector<#number> for #name<#lifetime #params> #bounds {
                #items
            }
        }
    });
    let tokens = hygienic! {
        #tally
        #definition

        impl<#params> #name<#lifetime #params> #bounds {
            #entries
            #(#methods)*
        }

        impl<#params> #rt::Segment for #name<#lifetime #params> #bounds {
            type Tally = #tally_name;
            #reset
            #flush
            #panicked
        }

        #(#vectors)*
    };
    Loop {
        tokens,
        fields: flow.fields,
        flushes,
    }
}

fn runs(flow: &Flow<'_>, stage: usize) -> bool {
    !flow.pipe.plan.sources.contains(&stage) && flow.runs(stage)
}

/// The methods that items enter by.
fn entries(flow: &mut Flow<'_>) -> TokenStream {
    let pipe = flow.pipe;
    match flow.mode {
        Mode::Solo => heads(pipe, flow.mode)
            .into_iter()
            .map(|source| solo_from(flow, source))
            .collect(),
        Mode::Segment(segment) => item(flow, pipe.plan.segments[segment].head),
    }
}

fn solo_from(flow: &mut Flow<'_>, source: usize) -> TokenStream {
    let pipe = flow.pipe;
    let several = heads(pipe, flow.mode).len() > 1;
    let count = several.then(|| flow.tally.head(pipe, source));
    let body = flow.send_from(source, &mixed("self"));
    let whence = flow.count_for_letters();
    let calls = source == INPUT && pipe.model.options.reply.is_some();
    method(
        flow,
        &solo_entry(pipe, source),
        &head_type(pipe, source),
        &parted(pipe, calls),
        hygienic!(#whence #count #body),
    )
}

/// `item`, which the loop of a segment calls with each item of the head.
fn item(flow: &mut Flow<'_>, head: Head) -> TokenStream {
    let pipe = flow.pipe;
    let me = mixed("self");
    let (ty, pattern, body) = match head {
        Head::Source(source) => (
            head_type(pipe, source),
            hygienic!(x),
            flow.send_from(source, &me),
        ),
        Head::Input => (
            head_type(pipe, INPUT),
            parted(pipe, pipe.model.options.reply.is_some()),
            flow.send_from(INPUT, &me),
        ),
        Head::Link(link) => {
            let stage = pipe.plan.links[link].to;
            let (ty, rt) = (link_item(pipe, stage), pipe.rt());
            let pattern = parted(pipe, pipe.calls.pass(stage));
            let body = flow.call(stage, hygienic!(x), &me);
            if pipe.nodes[stage].is_async() {
                return futures::item(flow, stage, body);
            }
            match is_divided(pipe, stage) {
                true => (
                    hygienic!(#rt::Hashed<#ty>),
                    hygienic!(#rt::Hashed { hash, item: #pattern }),
                    body,
                ),
                false => (ty, pattern, body),
            }
        }
    };
    let name = mixed("item");
    let whence = flow.count_for_letters();
    let body = hygienic!(#whence #body);
    if flow.tagged() {
        let tag = flow.fields.use_of(pipe, Field::Tag);
        let body = hygienic!(self.#tag = tag; #body);
        return method(
            flow,
            &name,
            &hygienic!((u32, #ty)),
            &hygienic!((tag, #pattern)),
            body,
        );
    }
    method(flow, &name, &ty, &pattern, body)
}

pub(super) fn method(
    flow: &Flow<'_>,
    name: &Ident,
    ty: &TokenStream,
    pattern: &TokenStream,
    body: TokenStream,
) -> TokenStream {
    let tally = flow.tally.ident();
    let t = if mentions(&body, "t") {
        hygienic!(t)
    } else {
        hygienic!(_)
    };
    hygienic! {
        #[inline(always)]
        fn #name(&mut self, #pattern: #ty, #t: &mut #tally) {
            #body
        }
    }
}

/// The type of the items that a source sends.
pub(crate) fn head_type(pipe: &Pipe<'_>, source: usize) -> TokenStream {
    if source == INPUT {
        return queued(pipe);
    }
    pipe.projection(source, "Out")
}

/// The type of the items that are pushed: what the first reader of `input` takes.
pub(crate) fn input_type(pipe: &Pipe<'_>) -> TokenStream {
    let readers = pipe.readers(Output {
        stage: INPUT,
        door: None,
    });
    let public = |reader: &&Reader| public::is_public(pipe.nodes[reader.stage].def);
    match readers.iter().find(public).or(readers.first()) {
        Some(reader) => pipe.projection(reader.stage, "In"),
        None => {
            let rt = pipe.rt();
            hygienic!(#rt::NoInput)
        }
    }
}

/// `reset`, which makes the state of a stage anew.
fn reset(flow: &mut Flow<'_>, stages: &[usize]) -> TokenStream {
    let (pipe, rt) = (flow.pipe, flow.pipe.rt());
    let stages: Vec<usize> = stages
        .iter()
        .copied()
        .filter(|at| pipe.nodes[*at].state != StateKind::None)
        .collect();
    let again: Vec<TokenStream> = stages.iter().map(|at| made_again(flow, *at)).collect();
    let ids = stages.iter().map(|at| &pipe.nodes[*at].id);
    let stage = if again.is_empty() {
        hygienic!(_)
    } else {
        hygienic!(stage)
    };
    hygienic! {
        fn reset(&mut self, #stage: u16) -> Result<(), #rt::InitError> {
            #(if stage == #ids { #again; })*
            Ok(())
        }
    }
}

fn made_again(flow: &mut Flow<'_>, stage: usize) -> TokenStream {
    let (pipe, rt) = (flow.pipe, flow.pipe.rt());
    let node = &pipe.nodes[stage];
    let ident = &node.ident;
    let state = flow.fields.use_of(pipe, Field::State(stage));
    if node.state == StateKind::Keyed {
        return hygienic!(self.#state.forget_last());
    }
    let env = flow.fields.use_of(pipe, Field::Env);
    hygienic!(*self.#state = <#ident as #rt::Init<_>>::init(self.#env)?)
}

/// `flush`, which calls batch stages, and those with `prefetch`, with what they still hold, producers first.
fn flush(flow: &mut Flow<'_>, stages: &[usize]) -> (TokenStream, bool) {
    let (pipe, rt) = (flow.pipe, flow.pipe.rt());
    let tally = flow.tally.ident();
    let mut calls = TokenStream::new();
    // What one of them lets go may wait in the next.
    for &stage in stages {
        if pipe.nodes[stage].is_batch() {
            let batch = flow.fields.use_of(pipe, Field::Batch(stage));
            let method = flow.flush_method(stage);
            calls.extend(hygienic!(if self.#batch.is_due(due) { self.#method(t); }));
        } else if pipe.prefetch(stage).is_some() {
            let ahead = flow.fields.use_of(pipe, Field::Ahead(stage));
            let method = flow.flush_ahead(stage);
            calls.extend(hygienic!(if !self.#ahead.is_empty() { self.#method(t); }));
        }
    }
    let flushes = !calls.is_empty();
    let used = |name: &str| match mentions(&calls, name) {
        true => mixed(name),
        false => Ident::new("_", Span::mixed_site()),
    };
    let (t, due) = (used("t"), used("due"));
    let tokens = hygienic! {
        fn flush(&mut self, #t: &mut #tally, #due: #rt::Due) {
            #calls
        }
    };
    (tokens, flushes)
}

/// The context.
fn definition(flow: &Flow<'_>, mode: Mode) -> TokenStream {
    let pipe = flow.pipe;
    let name = context(pipe, mode);
    let (params, bounds) = generics(pipe, mode, &flow.fields);
    let lifetime = needs_lifetime(&flow.fields).then(|| quote_spanned!(Span::mixed_site()=> 'a,));
    let fields = flow.fields.iter().map(|field| {
        let (name, ty) = (pipe.fields.of(field), field_type(pipe, mode, field));
        hygienic!(#name: #ty,)
    });
    let doc = match mode {
        Mode::Segment(segment) => format!(" What the loop of segment {segment} uses."),
        Mode::Solo => " The whole pipeline, for a worker that has it to itself.".to_owned(),
    };
    hygienic! {
        #[doc = #doc]
        struct #name<#lifetime #params> #bounds {
            #(#fields)*
        }
    }
}

/// The type parameters of a context, which are key functions, and their bounds.
fn generics(pipe: &Pipe<'_>, _: Mode, fields: &Fields) -> (TokenStream, TokenStream) {
    let rt = pipe.rt();
    let keyed = fields.iter().filter_map(|field| match field {
        Field::State(stage) if pipe.nodes[stage].state == StateKind::Keyed => Some(stage),
        _ => None,
    });
    let (mut params, mut bounds) = (TokenStream::new(), TokenStream::new());
    for stage in keyed {
        let (key, item) = (pipe.key_param(stage), link_item(pipe, stage));
        params.extend(hygienic!(#key,));
        bounds.extend(hygienic!(#key: #rt::KeyFn<#item>,));
    }
    if bounds.is_empty() {
        return (params, bounds);
    }
    (params, hygienic!(where #bounds))
}

fn needs_lifetime(fields: &Fields) -> bool {
    fields
        .iter()
        .any(|field| !matches!(field, Field::Tag | Field::Whence | Field::Kept(_)))
}

/// `true` if a word occurs in the tokens.
pub(crate) fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == word,
        proc_macro2::TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}
