//! The counts of one run of a loop. A field exists only where the number of items can change; stages that pass
//! every item on share the count of what comes before them, and `recount` takes back what that counts of an item
//! that panicked on its way.
//!
//! Where one item is copied to several stages of the same loop, it can panic in one of them and go on in the others, so
//! there every stage has a count of its own.

use std::collections::HashSet;

use pipewright_spec::{
    model::{DIVERTED, Gives},
    plan::{Head, INPUT},
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{
    flow::{Mode, hygienic},
    pipe::{Output, Pipe, fresh, mixed},
};

/// The counts of a loop while it is emitted.
pub(crate) struct Tally {
    ident: Ident,
    taken: HashSet<String>,
    counts: Vec<(Count, Ident)>,
    /// Does every stage count for itself?
    exact: bool,
}

/// What a field counts.
#[derive(Clone, PartialEq, Eq)]
enum Count {
    /// Items of the head.
    Head(usize),
    /// Items that a stage sent by its main door.
    Sent(usize),
    /// Items that failed.
    Failed(usize),
    /// Items that left by `Diverted`.
    Diverted(usize),
    /// Items that a stage sent by a variant.
    Door(usize, String),
}

impl Tally {
    pub(crate) fn new(pipe: &Pipe<'_>, mode: Mode) -> Tally {
        let name = match mode {
            Mode::Segment(segment) => format!("Tally{segment}"),
            Mode::Solo => "SoloTally".to_owned(),
        };
        let taken = ["at", "n"].map(str::to_owned).into();
        Tally {
            ident: pipe.item(name),
            taken,
            counts: Vec::new(),
            exact: copies_inside(pipe, mode),
        }
    }

    /// The name of the type.
    pub(crate) fn ident(&self) -> Ident {
        self.ident.clone()
    }

    fn field(&mut self, count: Count, name: &str) -> Ident {
        if let Some((_, ident)) = self.counts.iter().find(|(known, _)| *known == count) {
            return ident.clone();
        }
        let ident = mixed(&fresh(name, &mut self.taken));
        self.counts.push((count, ident.clone()));
        ident
    }

    fn get(&self, count: &Count) -> Option<&Ident> {
        self.counts
            .iter()
            .find(|(known, _)| known == count)
            .map(|(_, ident)| ident)
    }

    /// `t.decode += 1;` where the stage does not share the count of what comes before it.
    pub(crate) fn sent(&mut self, pipe: &Pipe<'_>, stage: usize) -> TokenStream {
        if self.shares(pipe, stage) {
            return TokenStream::new();
        }
        let field = self.field(Count::Sent(stage), &pipe.nodes[stage].name);
        hygienic!(t.#field += 1;)
    }

    /// `t.decode += n;`, for a whole block.
    pub(crate) fn sent_by(
        &mut self,
        pipe: &Pipe<'_>,
        stage: usize,
        n: &TokenStream,
    ) -> TokenStream {
        let field = self.field(Count::Sent(stage), &pipe.nodes[stage].name);
        hygienic!(t.#field += #n;)
    }

    /// As [`Self::head`], for a whole block.
    pub(crate) fn head_by(
        &mut self,
        pipe: &Pipe<'_>,
        source: usize,
        n: &TokenStream,
    ) -> TokenStream {
        let name = pipe.nodes.get(source).map_or("input", |node| &node.name);
        let field = self.field(Count::Head(source), name);
        hygienic!(t.#field += #n;)
    }

    /// `true` if a stage has no count of its own.
    pub(crate) fn is_shared(&self, pipe: &Pipe<'_>, stage: usize) -> bool {
        self.shares(pipe, stage)
    }

    /// `true` if a stage sends just what it receives.
    fn shares(&self, pipe: &Pipe<'_>, stage: usize) -> bool {
        let node = &pipe.nodes[stage];
        let all = matches!(node.sig.gives, Gives::One | Gives::Unit)
            && !node.is_batch()
            && pipe.prefetch(stage).is_none();
        all && !self.exact && pipe.variants(stage).is_empty()
    }

    /// Counts a whole batch that a sink took.
    pub(crate) fn taken(&mut self, pipe: &Pipe<'_>, stage: usize) -> TokenStream {
        let field = self.field(Count::Sent(stage), &pipe.nodes[stage].name);
        hygienic!(t.#field += xs.len() as u64;)
    }

    /// Counts a failed item.
    pub(crate) fn failed(&mut self, pipe: &Pipe<'_>, stage: usize) -> TokenStream {
        let field = self.field(
            Count::Failed(stage),
            &format!("{}_err", pipe.nodes[stage].name),
        );
        hygienic!(t.#field += 1;)
    }

    /// Counts an item that left uncalled.
    pub(crate) fn diverted(&mut self, pipe: &Pipe<'_>, stage: usize) -> TokenStream {
        let name = format!("{}_diverted", pipe.nodes[stage].name);
        let field = self.field(Count::Diverted(stage), &name);
        hygienic!(t.#field += 1;)
    }

    /// Counts an item that left by a variant.
    pub(crate) fn door(&mut self, pipe: &Pipe<'_>, stage: usize, door: &str) -> TokenStream {
        let name = format!("{}_{}", pipe.nodes[stage].name, super::info::snake(door));
        let field = self.field(Count::Door(stage, door.to_owned()), &name);
        hygienic!(t.#field += 1;)
    }

    /// Counts an item of one of several sources; a single head is counted by `seen`.
    pub(crate) fn head(&mut self, pipe: &Pipe<'_>, source: usize) -> TokenStream {
        let name = pipe.nodes.get(source).map_or("input", |node| &node.name);
        let field = self.field(Count::Head(source), name);
        hygienic!(t.#field += 1;)
    }

    /// The type and its trait.
    pub(crate) fn emit(&self, pipe: &Pipe<'_>, mode: Mode, stages: &[usize]) -> TokenStream {
        let (rt, ident) = (pipe.rt(), &self.ident);
        let fields = self.counts.iter().map(|(_, field)| hygienic!(#field: u64,));
        let doc = match mode {
            Mode::Segment(segment) => {
                format!(" Counts of one run of segment {segment}'s loop; they live in registers.")
            }
            Mode::Solo => {
                " Counts of one run of the whole pipeline's loop; they live in registers."
                    .to_owned()
            }
        };
        let settle = self.settle(pipe, mode, stages);
        let recount = self.recount(pipe, stages);
        hygienic! {
            #[doc = #doc]
            #[derive(Default)]
            struct #ident {
                at: u16,
                n: u64,
                #(#fields)*
            }

            impl #rt::Tally for #ident {
                #[inline(always)]
                fn at(&self) -> u16 {
                    self.at
                }
                #[inline(always)]
                fn set_at(&mut self, stage: u16) {
                    self.at = stage;
                }
                #[inline(always)]
                fn seen(&mut self, items: u64) {
                    self.n += items;
                }
                fn settle(&self, c: &#rt::Counts) {
                    #settle
                }
                #recount
            }
        }
    }

    fn settle(&self, pipe: &Pipe<'_>, mode: Mode, stages: &[usize]) -> TokenStream {
        let mut lines = TokenStream::new();
        for source in heads(pipe, mode) {
            let count = self.head_count(source);
            lines.extend(match pipe.nodes.get(source) {
                Some(node) => {
                    let (id, routed) = (&node.id, self.routed(pipe, source));
                    hygienic!(c.sent(#id, #count); #routed)
                }
                None => hygienic!(c.input(#count);),
            });
        }
        for &stage in stages {
            lines.extend(self.settle_stage(pipe, mode, stage));
        }
        lines
    }

    fn settle_stage(&self, pipe: &Pipe<'_>, mode: Mode, stage: usize) -> TokenStream {
        let id = &pipe.nodes[stage].id;
        let mut lines = TokenStream::new();
        let mut line = |what: &str, count: Option<TokenStream>| {
            let what = mixed(what);
            lines.extend(count.map(|count| hygienic!(c.#what(#id, #count);)));
        };
        line("received", self.received(pipe, mode, stage));
        line("sent", self.flow(pipe, mode, Output { stage, door: None }));
        line(
            "failed",
            self.get(&Count::Failed(stage))
                .map(|field| hygienic!(self.#field)),
        );
        line(
            "diverted",
            self.get(&Count::Diverted(stage))
                .map(|field| hygienic!(self.#field)),
        );
        lines.extend(self.routed(pipe, stage));
        lines
    }

    /// Items that a stage sent by its variants.
    fn routed(&self, pipe: &Pipe<'_>, stage: usize) -> TokenStream {
        let id = &pipe.nodes[stage].id;
        let mut lines = TokenStream::new();
        for (at, (door, _)) in pipe.variants(stage).into_iter().enumerate() {
            if let Some(field) = self.get(&Count::Door(stage, door.to_owned())) {
                let at = Literal::u16_unsuffixed(at as u16);
                lines.extend(hygienic!(c.routed(#id, #at, self.#field);));
            }
        }
        lines
    }

    /// `recount`, which takes back what is counted of the item that panicked at `self.at`.
    fn recount(&self, pipe: &Pipe<'_>, stages: &[usize]) -> TokenStream {
        let rt = pipe.rt();
        let shared: Vec<usize> = stages
            .iter()
            .copied()
            .filter(|stage| self.shares(pipe, *stage))
            .collect();
        let back = |stage: &usize| {
            let mut lines = TokenStream::new();
            self.take_back(pipe, *stage, stages, &mut lines);
            lines
        };
        let id = |stage: &usize| &pipe.nodes[*stage].id;
        let body = match shared.as_slice() {
            [] => return hygienic!(fn recount(&self, _: &#rt::Counts) {}),
            [one] => {
                let (id, lines) = (id(one), back(one));
                hygienic!(if self.at == #id { #lines })
            }
            several => {
                let (ids, lines) = (several.iter().map(id), several.iter().map(back));
                hygienic!(match self.at { #(#ids => { #lines })* _ => {} })
            }
        };
        hygienic!(fn recount(&self, c: &#rt::Counts) { #body })
    }

    /// A stage did not send the item; those behind it did not receive it.
    fn take_back(&self, pipe: &Pipe<'_>, stage: usize, stages: &[usize], lines: &mut TokenStream) {
        let id = &pipe.nodes[stage].id;
        lines.extend(hygienic!(c.unsent(#id);));
        for reader in pipe.readers(Output { stage, door: None }) {
            if stages.contains(&reader.stage) {
                let id = &pipe.nodes[reader.stage].id;
                lines.extend(hygienic!(c.unreceived(#id);));
                if self.shares(pipe, reader.stage) {
                    self.take_back(pipe, reader.stage, stages, lines);
                }
            }
        }
    }

    /// Items that came to a stage: those of its link, or the sum of what its producers sent it in this loop.
    fn received(&self, pipe: &Pipe<'_>, mode: Mode, stage: usize) -> Option<TokenStream> {
        if let Mode::Segment(segment) = mode {
            let head = pipe.plan.segments[segment].head;
            if matches!(head, Head::Link(link) if pipe.plan.links[link].to == stage) {
                return Some(hygienic!(self.n));
            }
        }
        let parts: Vec<TokenStream> = pipe
            .inputs(stage)
            .into_iter()
            .filter_map(|input| self.flow(pipe, mode, input))
            .collect();
        (!parts.is_empty()).then(|| hygienic!(#(#parts)+*))
    }

    /// Items that left by an output, if they did so in this loop.
    fn flow(&self, pipe: &Pipe<'_>, mode: Mode, output: Output<'_>) -> Option<TokenStream> {
        let stage = output.stage;
        if output.door.is_none() && (stage == INPUT || pipe.plan.sources.contains(&stage)) {
            return heads(pipe, mode)
                .contains(&stage)
                .then(|| self.head_count(stage));
        }
        if output.door.is_none() && !pipe.variants(stage).is_empty() {
            let doors = pipe.variants(stage).into_iter();
            let fields: Vec<&Ident> = doors
                .filter_map(|(door, _)| self.get(&Count::Door(stage, door.to_owned())))
                .collect();
            return (!fields.is_empty()).then(|| hygienic!(#(self.#fields)+*));
        }
        if output.door.is_none() && self.shares(pipe, stage) {
            return self.received(pipe, mode, stage);
        }
        let count = match output.door {
            Some("Err") if pipe.nodes[stage].fallible() => Count::Failed(stage),
            Some(DIVERTED) if pipe.model.stages[stage].diverts() => Count::Diverted(stage),
            Some(door) => Count::Door(stage, door.to_owned()),
            None => Count::Sent(stage),
        };
        self.get(&count).map(|field| hygienic!(self.#field))
    }

    /// Items of a source: all that were seen, where it is the only one.
    fn head_count(&self, source: usize) -> TokenStream {
        match self.get(&Count::Head(source)) {
            Some(field) => hygienic!(self.#field),
            None => hygienic!(self.n),
        }
    }
}

/// `true` if an output has several readers in the same loop.
fn copies_inside(pipe: &Pipe<'_>, mode: Mode) -> bool {
    let inside = |stage: usize| match mode {
        Mode::Solo => true,
        Mode::Segment(segment) => pipe.plan.segments[segment].stages.contains(&stage),
    };
    pipe.outputs().into_iter().any(|output| {
        pipe.readers(output)
            .iter()
            .filter(|r| inside(r.stage))
            .count()
            > 1
    })
}

/// The sources that feed a loop directly; [`INPUT`] is the push input.
pub(crate) fn heads(pipe: &Pipe<'_>, mode: Mode) -> Vec<usize> {
    match mode {
        Mode::Segment(segment) => match pipe.plan.segments[segment].head {
            Head::Source(source) => vec![source],
            Head::Input => vec![INPUT],
            Head::Link(_) => Vec::new(),
        },
        Mode::Solo => {
            let mut heads = pipe.plan.sources.clone();
            heads.extend(pipe.model.reads_input().then_some(INPUT));
            heads
        }
    }
}
