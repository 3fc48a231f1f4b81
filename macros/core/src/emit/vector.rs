//! A loop that is compiled for vector levels: an `impl rt::Vector` for each of its heads, and the calls that use it.
//!
//! The run of a head are the stages with `simd` that its items pass first and that take blocks: maps and filters without
//! state, one after the other. It ends with its last filter, because what comes after that is done for the items that are
//! kept, of which the runtime makes blocks again.

use pipewright_spec::{
    model::{Gives, StateKind, Takes},
    plan::Head,
};
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{
    calls::link_item,
    flow::{Flow, Mode, hygienic},
    guards::reorders,
    pinned::is_divided,
    pipe::{Output, Pipe, Reader, mixed},
    segment::{head_type, mentions, solo_entry},
    tally::heads,
};

/// The words of `simd` and the levels that they name.
const LEVELS: [(&str, &str); 4] = [
    ("sse4_2", "Sse42"),
    ("avx2", "Avx2"),
    ("avx512", "Avx512"),
    ("neon", "Neon"),
];

/// The levels that the stages of a loop ask for, in the order of the levels; none if the loop is a plain one.
pub(crate) fn levels(pipe: &Pipe<'_>, mode: Mode) -> Vec<&'static str> {
    let runs = |stage: &usize| match mode {
        Mode::Solo => true,
        Mode::Segment(segment) => pipe.plan.segments[segment].stages.contains(stage),
    };
    let asked: Vec<&str> = (0..pipe.nodes.len())
        .filter(runs)
        .filter_map(|stage| pipe.model.stages[stage].options.simd.as_ref())
        .flat_map(|given| given.value.iter().copied())
        .collect();
    LEVELS
        .into_iter()
        .filter(|(word, _)| asked.contains(word))
        .map(|(_, level)| level)
        .collect()
}

/// Whether the items that enter a loop can be copied, as a value that the runtime takes.
pub(crate) fn copies(pipe: &Pipe<'_>, mode: Mode, source: usize) -> TokenStream {
    let (rt, item) = (pipe.rt(), entry_type(pipe, mode, source));
    hygienic!((&#rt::MayCopy::<#item>::new()).copies())
}

/// What brings `copies` into scope.
pub(crate) fn using(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    hygienic!(use #rt::{CopiesNot as _, CopiesYes as _};)
}

/// The type of the items that enter a loop; `source` says which, in that of a worker alone.
fn entry_type(pipe: &Pipe<'_>, mode: Mode, source: usize) -> TokenStream {
    let Mode::Segment(segment) = mode else {
        return head_type(pipe, source);
    };
    let plan = &pipe.plan.segments[segment];
    let item = match plan.head {
        Head::Source(source) => head_type(pipe, source),
        Head::Input => head_type(pipe, pipewright_spec::plan::INPUT),
        Head::Link(link) => {
            let stage = pipe.plan.links[link].to;
            let (item, rt) = (link_item(pipe, stage), pipe.rt());
            match is_divided(pipe, stage) {
                true => hygienic!(#rt::Hashed<#item>),
                false => item,
            }
        }
    };
    if plan.tagged || reorders(pipe, segment) {
        return hygienic!((u32, #item));
    }
    item
}

/// The methods of `impl rt::Vector` for each head of a loop: number, and items.
pub(crate) fn entries(flow: &mut Flow<'_>) -> Vec<(Literal, TokenStream)> {
    let (pipe, mode) = (flow.pipe, flow.mode);
    if levels(pipe, mode).is_empty() {
        return Vec::new();
    }
    let sources = match mode {
        Mode::Solo => heads(pipe, mode),
        Mode::Segment(_) => vec![pipewright_spec::plan::INPUT],
    };
    let entries = sources.into_iter().enumerate();
    entries
        .map(|(at, source)| (Literal::usize_unsuffixed(at), entry(flow, source)))
        .collect()
}

/// A stage that takes blocks, and how its items come to it: `None` over a link.
struct Step {
    stage: usize,
    from: Option<(Output<'static>, Reader)>,
}

fn entry(flow: &mut Flow<'_>, source: usize) -> TokenStream {
    let (pipe, rt, mode) = (flow.pipe, flow.pipe.rt(), flow.mode);
    let item = entry_type(pipe, mode, source);
    let enter = match mode {
        Mode::Solo => solo_entry(pipe, source),
        Mode::Segment(_) => mixed("item"),
    };
    let (names, lanes) = (levels(pipe, mode).into_iter().map(mixed), pipe.item("L"));
    let run = run(flow, source);
    let types = run.iter().map(|step| pipe.projection(step.stage, "Out"));
    let (mid, items, last) = match run.last() {
        Some(last) => (
            pipe.projection(last.stage, "Out"),
            hygienic!((Self::In, #(#types),*)),
            {
                let id = &pipe.nodes[last.stage].id;
                hygienic!(#id)
            },
        ),
        None => (
            hygienic!(Self::In),
            hygienic!(Self::In),
            hygienic!(u16::MAX),
        ),
    };
    let blocks = !run.is_empty();
    let (sift, rest) = match run.last().map(|step| step.stage) {
        Some(last) => {
            let sift = sift(flow, source, &run);
            let id = &pipe.nodes[last].id;
            let rest = flow.sent(last, &mixed("self"));
            (sift, hygienic!(t.at = #id; #rest))
        }
        None => (hygienic!(x.into_sieve(out);), hygienic!(self.#enter(x, t);)),
    };
    let t = |body: &TokenStream| match mentions(body, "t") {
        true => mixed("t"),
        false => mixed("_t"),
    };
    let (t_of_sift, t_of_rest) = (t(&sift), t(&rest));
    hygienic! {
        type In = #item;
        type Mid = #mid;
        type Items = #items;
        const LEVELS: #rt::Levels = #rt::Levels::of(&[#(::pipewright::Level::#names),*]);
        const BLOCKS: bool = #blocks;
        const LAST: u16 = #last;
        #[inline(always)]
        fn item(&mut self, x: Self::In, t: &mut Self::Tally) {
            self.#enter(x, t);
        }
        #[inline(always)]
        fn sift<#lanes: #rt::Lanes>(&self, x: #rt::Block<Self::In>, out: &mut #rt::Sieve<'_, Self::Mid>, #t_of_sift: &mut Self::Tally) {
            #sift
        }
        #[inline(always)]
        fn rest(&mut self, x: Self::Mid, #t_of_rest: &mut Self::Tally) {
            #rest
        }
    }
}

/// The stages that items of a head pass in blocks.
fn run(flow: &Flow<'_>, source: usize) -> Vec<Step> {
    let mut run: Vec<Step> = Vec::new();
    let mut next = first(flow, source);
    while let Some(step) = next {
        let stage = step.stage;
        run.push(step);
        next = reader(flow, Output { stage, door: None });
    }
    let filter = run
        .iter()
        .rposition(|step| flow.pipe.nodes[step.stage].sig.gives == Gives::Keep);
    if let Some(filter) = filter {
        run.truncate(filter + 1);
    }
    run
}

fn first(flow: &Flow<'_>, source: usize) -> Option<Step> {
    let pipe = flow.pipe;
    let source = match flow.mode {
        Mode::Solo => source,
        Mode::Segment(segment) => match pipe.plan.segments[segment].head {
            _ if flow.tagged() => return None,
            Head::Source(source) => source,
            Head::Input => pipewright_spec::plan::INPUT,
            Head::Link(link) => {
                let stage = pipe.plan.links[link].to;
                return takes_blocks(flow, stage).then_some(Step { stage, from: None });
            }
        },
    };
    let routes = source != pipewright_spec::plan::INPUT && !pipe.variants(source).is_empty();
    if routes {
        return None;
    }
    reader(
        flow,
        Output {
            stage: source,
            door: None,
        },
    )
}

/// The one reader of an output, if it takes blocks.
fn reader(flow: &Flow<'_>, output: Output<'static>) -> Option<Step> {
    let mut readers = flow.pipe.readers(output).into_iter();
    let (Some(reader), None) = (readers.next(), readers.next()) else {
        return None;
    };
    let one_input = flow.pipe.inputs(reader.stage).len() == 1;
    (one_input && takes_blocks(flow, reader.stage)).then_some(Step {
        stage: reader.stage,
        from: Some((output, reader)),
    })
}

/// A map or filter with `simd` and without state, in this loop, whose items bring no calls and lead nowhere: those in front of a
/// stage with `prefetch` wait one by one.
fn takes_blocks(flow: &Flow<'_>, stage: usize) -> bool {
    let (pipe, node) = (flow.pipe, &flow.pipe.nodes[stage]);
    let shape = matches!(
        (node.sig.takes, node.sig.gives),
        (Takes::Item, Gives::One) | (Takes::ItemRef, Gives::Keep)
    );
    shape
        && pipe.model.stages[stage].options.simd.is_some()
        && node.state == StateKind::None
        && !pipe.calls.pass(stage)
        && pipe.model.stages[stage].options.prefetch.is_none()
        && pipe.variants(stage).is_empty()
        && flow.runs(stage)
}

/// A block through the run: each filter with the maps before it. What counts is counted at the end.
fn sift(flow: &mut Flow<'_>, source: usize, run: &[Step]) -> TokenStream {
    let pipe = flow.pipe;
    let several = flow.mode == Mode::Solo && heads(pipe, flow.mode).len() > 1;
    let (mut lines, mut counts) = (TokenStream::new(), TokenStream::new());
    // The number of items in front of the filter that comes next, if a count asks for it.
    let mut phase = Phase::new();
    if several {
        counts.extend(flow.tally.head_by(pipe, source, &phase.ask(&mut lines)));
    }
    let (me, lanes) = (mixed("self"), pipe.item("L"));
    for (at, step) in run.iter().enumerate() {
        let value = match &step.from {
            Some((output, reader)) => flow.link(*output, reader, hygienic!(x)),
            None => hygienic!(x),
        };
        let is_last = at + 1 == run.len();
        if pipe.nodes[step.stage].sig.gives == Gives::One {
            let call = flow.function(step.stage, value, &me);
            phase.maps.push(call);
            if !is_last && !flow.tally.is_shared(pipe, step.stage) {
                let n = phase.ask(&mut lines);
                counts.extend(flow.tally.sent_by(pipe, step.stage, &n));
            }
            continue;
        }
        phase.maps.push(value);
        let maps = phase.closure();
        let keep = flow.function(step.stage, hygienic!(x), &me);
        if is_last {
            lines.extend(hygienic!(x.sift_into::<#lanes, _>(#maps, |x| #keep, out);));
            continue;
        }
        lines.extend(hygienic!(let x = x.sift::<#lanes, _>(#maps, |x| #keep);));
        phase = phase.next();
        let n = phase.ask(&mut lines);
        counts.extend(flow.tally.sent_by(pipe, step.stage, &n));
    }
    if !phase.maps.is_empty()
        && !matches!(run.last(), Some(last) if pipe.nodes[last.stage].sig.gives == Gives::Keep)
    {
        let maps = phase.closure();
        lines.extend(hygienic!(x.map(#maps).into_sieve(out);));
    }
    hygienic!(#lines #counts)
}

/// The maps since the last filter.
struct Phase {
    maps: Vec<TokenStream>,
    number: usize,
    asked: bool,
}

impl Phase {
    fn new() -> Phase {
        Phase {
            maps: Vec::new(),
            number: 0,
            asked: false,
        }
    }

    fn next(self) -> Phase {
        Phase {
            number: self.number + 1,
            ..Phase::new()
        }
    }

    /// The name of the number of its items, which is taken when it is first asked for.
    fn ask(&mut self, lines: &mut TokenStream) -> TokenStream {
        let n = mixed(&format!("n{}", self.number));
        if !std::mem::replace(&mut self.asked, true) {
            lines.extend(hygienic!(let #n = x.len();));
        }
        hygienic!(#n)
    }

    /// `|x| mix(x)`.
    fn closure(&self) -> TokenStream {
        match self.maps.as_slice() {
            [one] => hygienic!(|x| #one),
            maps => {
                let (last, before) = maps
                    .split_last()
                    .map_or((None, maps), |(l, b)| (Some(l), b));
                hygienic!(|x| { #(let x = #before;)* #last })
            }
        }
    }
}
