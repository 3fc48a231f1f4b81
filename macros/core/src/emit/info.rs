//! The constants that describe the pipeline to the runtime: `TOPOLOGY` and the numbers of the stages.

use pipewright_spec::{
    model::{Given, Kind, StateKind, Takes},
    options::Smt,
    plan::{INPUT, LinkKind},
    units::Duration,
};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::{
    guards::group,
    pipe::{Node, Output, Pipe},
};
use crate::place::Place;

/// `const PARSE: u16 = 1;` for each stage.
pub(crate) fn ids(pipe: &Pipe<'_>) -> TokenStream {
    let ids = pipe.nodes.iter().enumerate().map(|(at, node)| {
        let (id, at) = (&node.id, Literal::u16_unsuffixed(at as u16));
        quote!(const #id: u16 = #at;)
    });
    quote!(#(#ids)*)
}

/// The value of `TOPOLOGY`.
pub(crate) fn topology(pipe: &Pipe<'_>, drawing: &str) -> TokenStream {
    let rt = pipe.rt();
    let name = &pipe.model.name;
    let stages = (0..pipe.nodes.len()).map(|at| stage(pipe, at));
    let links = (0..pipe.plan.links.len()).map(|at| link(pipe, at));
    let sources = sources(pipe);
    let pinned = super::pinned::infos(pipe);
    let guards = super::guards::infos(pipe);
    let loads = loads(pipe);
    let has_pool = pipe
        .plan
        .segments
        .iter()
        .any(|segment| !segment.is_pinned());
    let options = &pipe.model.options;
    let pool = pool(pipe);
    let enforce = options.hw.enforce.as_ref();
    let enforce = option(enforce.map(|given| variant(pipe, "Enforce", given.value.name())));
    let quantum = option(
        options
            .quantum
            .as_ref()
            .map(|given| Literal::u64_unsuffixed(given.value.ns())),
    );
    let memory = options.memory.as_ref();
    let memory = option(memory.map(|given| Literal::u64_unsuffixed(given.value)));
    quote! {
        #rt::TopologyInfo {
            name: #name,
            stages: &[#(#stages),*],
            links: &[#(#links),*],
            sources: &[#(#sources),*],
            pinned: &[#(#pinned),*],
            guards: &[#(#guards),*],
            loads: &[#(#loads),*],
            has_pool: #has_pool,
            pool: #pool,
            enforce: #enforce,
            quantum_ns: #quantum,
            memory: #memory,
            drawing: #drawing,
        }
    }
}

/// What stages say about items of which there are too many.
fn loads<'p>(pipe: &'p Pipe<'p>) -> impl Iterator<Item = TokenStream> + 'p {
    let rt = pipe.rt();
    let stages = pipe.model.stages.iter().zip(&pipe.nodes);
    stages.filter_map(move |(stage, node)| {
        let (id, options) = (&node.id, &stage.options);
        let overflow = options.overflow.as_ref();
        let word = overflow.map(|given| variant(pipe, "Overflow", given.value.name()));
        let shed = options.shed.as_ref();
        let shed = shed.map_or_else(|| quote!(None), |given| group(&rt, &given.value));
        if options.overflow.is_none() && options.shed.is_none() {
            return None;
        }
        let word = option(word);
        Some(quote!(#rt::LoadInfo { stage: #id, overflow: #word, shed: #shed }))
    })
}

/// What was given about the workers, over nothing.
fn pool(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let pool = &pipe.model.options.pool;
    let number = |given: &Given<u32, Place>| Literal::u32_unsuffixed(given.value);
    let mut fields = Vec::new();
    if let Some(workers) = pool.workers.as_ref().map(number) {
        fields.push(quote!(workers: Some(#workers)));
    }
    if let Some(cores) = &pool.cores {
        let cores = cores.value.iter().map(Literal::u32_unsuffixed);
        fields.push(quote!(cores: Some(&[#(#cores),*])));
    }
    if let Some(smt) = &pool.smt {
        let word = match smt.value {
            Smt::Auto => quote!(Auto),
            Smt::Use => quote!(Use),
            Smt::Avoid => quote!(Avoid),
        };
        fields.push(quote!(smt: Some(#rt::Smt::#word)));
    }
    if let Some(numa) = pool.numa.as_ref().map(number) {
        fields.push(quote!(numa: Some(#numa)));
    }
    match fields.len() {
        0 => quote!(#rt::PoolInfo::NONE),
        4 => quote!(#rt::PoolInfo { #(#fields),* }),
        _ => quote!(#rt::PoolInfo { #(#fields,)* ..#rt::PoolInfo::NONE }),
    }
}

fn option<T: quote::ToTokens>(value: Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(Some(#value)),
        None => quote!(None),
    }
}

fn stage(pipe: &Pipe<'_>, at: usize) -> TokenStream {
    let rt = pipe.rt();
    let node = &pipe.nodes[at];
    let name = &node.name;
    let kind = kind(pipe, node.def.kind);
    let start = node.def.item.span();
    let (file, line) = (
        start.file(),
        Literal::u32_unsuffixed(start.start().line as u32),
    );
    let state = state(pipe, node.state);
    let (fallible, many, poll, batch_stage) = shape(node);
    let is_async = node.sig.is_async.is_some();
    let options = options(pipe, at);
    let inputs = pipe.inputs(at).into_iter().map(|input| door(pipe, input));
    quote! {
        #rt::StageInfo {
            name: #name,
            kind: #kind,
            file: #file,
            line: #line,
            state: #state,
            fallible: #fallible,
            many: #many,
            is_poll: #poll,
            is_batch: #batch_stage,
            is_async: #is_async,
            #options
            inputs: &[#(#inputs),*],
        }
    }
}

/// The fields that options set.
fn options(pipe: &Pipe<'_>, at: usize) -> TokenStream {
    let given = &pipe.model.stages[at].options;
    let count = |given: &Option<Given<u32, Place>>| {
        option(
            given
                .as_ref()
                .map(|given| Literal::u32_unsuffixed(given.value)),
        )
    };
    let time = |given: &Option<Given<Duration, Place>>| {
        option(
            given
                .as_ref()
                .map(|given| Literal::u64_unsuffixed(given.value.ns())),
        )
    };
    let (batch, queue) = (count(&given.batch), count(&given.queue));
    let in_flight = count(&given.in_flight);
    let (linger, idle) = (time(&given.linger), time(&given.idle));
    let budget = time(&given.budget);
    let priority = given
        .priority
        .as_ref()
        .map(|given| variant(pipe, "Priority", given.value.name()));
    let on_panic = given
        .on_panic
        .as_ref()
        .map(|given| variant(pipe, "OnPanic", given.value.name()));
    let on_error = given
        .on_error
        .as_ref()
        .map(|given| variant(pipe, "OnError", given.value.name()));
    let (priority, on_panic) = (option(priority), option(on_panic));
    let on_error = option(on_error);
    let cores = option(given.cores.as_ref().map(|given| {
        let cores = given.value.iter().map(Literal::u32_unsuffixed);
        quote!(&[#(#cores),*])
    }));
    let wait = given
        .wait
        .as_ref()
        .map(|given| variant(pipe, "Wait", given.value.name()));
    let wait = option(wait);
    let realtime = count(&given.realtime);
    quote! {
        in_flight: #in_flight,
        batch: #batch,
        linger_ns: #linger,
        budget_ns: #budget,
        idle_ns: #idle,
        queue: #queue,
        priority: #priority,
        cores: #cores,
        wait: #wait,
        realtime: #realtime,
        on_panic: #on_panic,
        on_error: #on_error,
    }
}

/// An output that a stage reads.
fn door(pipe: &Pipe<'_>, input: Output<'_>) -> TokenStream {
    let rt = pipe.rt();
    let stage = match input.stage {
        INPUT => quote!(#rt::DoorInfo::INPUT),
        at => {
            let id = &pipe.nodes[at].id;
            quote!(#id)
        }
    };
    let door = option(input.door);
    quote!(#rt::DoorInfo { stage: #stage, door: #door })
}

/// Fallible, one to many, polled, batch.
fn shape(node: &Node<'_>) -> (bool, bool, bool, bool) {
    let signature = node.sig.model(node.state);
    // Items can be added to a `Batch`.
    let many = signature.one_to_many() || signature.takes == Takes::Batch;
    (
        signature.fallible(),
        many && node.def.kind != Kind::Source,
        signature.is_poll(),
        signature.is_batch(),
    )
}

fn kind(pipe: &Pipe<'_>, kind: Kind) -> TokenStream {
    variant(pipe, "Kind", kind.name())
}

fn state(pipe: &Pipe<'_>, state: StateKind) -> TokenStream {
    let name = match state {
        StateKind::None => "none",
        StateKind::Serial => "serial",
        StateKind::PerWorker => "per_worker",
        StateKind::Keyed => "keyed",
    };
    variant(pipe, "StateKind", name)
}

/// `rt::OnPanic::Isolate` from `OnPanic` and `isolate`.
fn variant(pipe: &Pipe<'_>, of: &str, word: &str) -> TokenStream {
    let rt = pipe.rt();
    let of = format_ident!("{of}");
    let variant = format_ident!("{}", camel(word));
    quote!(#rt::#of::#variant)
}

/// `PerWorker` from `per_worker`.
pub(crate) fn camel(word: &str) -> String {
    let mut text = String::new();
    for part in word.split('_') {
        let mut chars = part.chars();
        text.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        text.extend(chars);
    }
    text
}

/// `price_error` from `PriceError`.
pub(crate) fn snake(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn link(pipe: &Pipe<'_>, at: usize) -> TokenStream {
    let rt = pipe.rt();
    let link = &pipe.plan.links[at];
    let to = &pipe.nodes[link.to].id;
    let kind = match link.kind {
        LinkKind::Direct => quote!(#rt::LinkKindInfo::Direct),
        LinkKind::Ring => quote!(#rt::LinkKindInfo::Ring),
        LinkKind::Ordered => quote!(#rt::LinkKindInfo::Ordered),
        LinkKind::Arrival => quote!(#rt::LinkKindInfo::Arrival),
        LinkKind::Keyed { ordered } => quote!(#rt::LinkKindInfo::Keyed { ordered: #ordered }),
    };
    let parts = link.parts.iter().map(|n| Literal::u8_unsuffixed(*n as u8));
    let (paths, tagged) = (Literal::u8_unsuffixed(link.paths as u8), link.tagged);
    quote! {
        #rt::LinkInfo { to: #to, kind: #kind, parts: &[#(#parts),*], paths: #paths, tagged: #tagged }
    }
}

fn sources(pipe: &Pipe<'_>) -> Vec<TokenStream> {
    let rt = pipe.rt();
    let source = |at: usize, stage: TokenStream, acks: bool| {
        let passes = |link: &usize| {
            pipe.plan.links[*link]
                .parts
                .get(at)
                .is_some_and(|parts| *parts > 0)
        };
        let gates = (0..pipe.plan.links.len())
            .filter(|link| pipe.is_ordered(*link))
            .filter(passes);
        let gates = gates.map(|link| Literal::u16_unsuffixed(link as u16));
        quote!(#rt::SourceInfo { stage: #stage, gates: &[#(#gates),*], acks: #acks })
    };
    let mut sources: Vec<TokenStream> = Vec::new();
    for (at, stage) in pipe.plan.sources.iter().enumerate() {
        let id = &pipe.nodes[*stage].id;
        let acks = pipe.model.stages[*stage].options.rust.acks.is_some();
        sources.push(source(at, quote!(Some(#id)), acks));
    }
    if pipe.model.reads_input() {
        sources.push(source(pipe.plan.sources.len(), quote!(None), false));
    }
    sources
}
