//! The fields of a loop's context: only what the loop touches, each with a name of its own.

use std::collections::{BTreeSet, HashSet};

use pipewright_spec::model::StateKind;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{
    calls::link_item,
    flow::{Mode, hygienic, letter},
    pinned::has_all_keys,
    pipe::{Pipe, fresh, mixed},
};

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    /// The worker's view of the run.
    Watch,
    /// The environment.
    Env,
    /// The position of the item in the source's batch.
    Tag,
    /// Where the items come from, for dead letters.
    Whence,
    /// The state of a stage, or the states of its keys.
    State(usize),
    /// What a stage has sent and nobody has read yet.
    Buffer(usize),
    /// What a batch stage will be called with.
    Batch(usize),
    /// The calls of those items.
    Calls(usize),
    /// The items in front of a stage with `prefetch`.
    Ahead(usize),
    /// What the guard of a stage knows about the batch.
    Guard(usize),
    /// A copy of the item that a stage is called with, for the letter that it becomes if it panics.
    Kept(usize),
    /// The carrier for the link to a stage.
    Out(usize),
}

/// Names that generated functions use beside those of fields, some of which stand for locals too.
const LOCALS: [&str; 29] = [
    "w", "env", "x", "t", "cx", "solo", "watch", "load", "local", "states", "source", "task",
    "site", "common", "start", "pause", "refused", "guard", "kept", "saved", "error", "hash",
    "flight", "waiting", "ahead", "call", "any", "rest", "looks",
];

/// The names of all fields of a pipeline.
pub(crate) struct Names {
    watch: Ident,
    env: Ident,
    tag: Ident,
    whence: Ident,
    stages: Vec<[Ident; 6]>,
    calls: Vec<Ident>,
    kept: Vec<Ident>,
}

impl Names {
    /// Gives every possible field its name.
    pub(crate) fn new(stages: &[&str]) -> Names {
        let mut taken: HashSet<String> = LOCALS.iter().map(ToString::to_string).collect();
        let mut name = |text: &str| mixed(&fresh(text, &mut taken));
        let (watch, env, tag) = (mixed("w"), mixed("env"), name("tag"));
        let whence = name("whence");
        let own: Vec<Ident> = stages.iter().map(|stage| name(stage)).collect();
        let names: Vec<[Ident; 6]> = own
            .into_iter()
            .zip(stages)
            .map(|(own, stage)| {
                [
                    own,
                    name(&format!("{stage}_sent")),
                    name(&format!("{stage}_batch")),
                    name(&format!("{stage}_ahead")),
                    name(&format!("{stage}_guard")),
                    name(&format!("{stage}_futures")),
                ]
            })
            .collect();
        let calls: Vec<Ident> = stages
            .iter()
            .map(|stage| name(&format!("{stage}_calls")))
            .collect();
        let kept = stages.iter().map(|stage| name(&format!("{stage}_kept")));
        let kept = kept.collect();
        Names {
            kept,
            watch,
            env,
            tag,
            whence,
            calls,
            stages: names,
        }
    }

    /// The name of a field. A state and a carrier may share one: no loop has both for a stage.
    pub(crate) fn of(&self, field: Field) -> &Ident {
        match field {
            Field::Watch => &self.watch,
            Field::Env => &self.env,
            Field::Tag => &self.tag,
            Field::Whence => &self.whence,
            Field::State(stage) | Field::Out(stage) => &self.stages[stage][0],
            Field::Buffer(stage) => &self.stages[stage][1],
            Field::Batch(stage) => &self.stages[stage][2],
            Field::Ahead(stage) => &self.stages[stage][3],
            Field::Calls(stage) => &self.calls[stage],
            Field::Guard(stage) => &self.stages[stage][4],
            Field::Kept(stage) => &self.kept[stage],
        }
    }

    /// The field of the graph in which the futures of a stage are.
    pub(crate) fn futures(&self, stage: usize) -> &Ident {
        &self.stages[stage][5]
    }
}

/// The fields that a loop has used so far.
#[derive(Default)]
pub(crate) struct Fields {
    used: BTreeSet<Field>,
}

impl Fields {
    /// Notes that a field is used and returns its name.
    pub(crate) fn use_of(&mut self, pipe: &Pipe<'_>, field: Field) -> Ident {
        self.used.insert(field);
        pipe.fields.of(field).clone()
    }

    /// The fields in use, in a fixed order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field> {
        self.used.iter().copied()
    }
}

/// The type of a field in the context of a loop with the lifetime `'a`.
pub(crate) fn field_type(pipe: &Pipe<'_>, mode: Mode, field: Field) -> TokenStream {
    let rt = pipe.rt();
    match field {
        Field::Watch => hygienic!(#rt::Watch<'a>),
        Field::Env => {
            let env = pipe.env_type();
            hygienic!(&'a #env)
        }
        Field::Tag => hygienic!(u32),
        Field::Whence => hygienic!(#rt::Whence),
        Field::State(stage) if pipe.nodes[stage].state == StateKind::Keyed => {
            let (item, state) = (link_item(pipe, stage), pipe.projection(stage, "State"));
            let key = pipe.key_param(stage);
            match mode {
                Mode::Solo => hygienic!(#rt::KeyedSolo<'a, #item, #key, #state>),
                Mode::Segment(_) if has_all_keys(pipe, stage) => {
                    hygienic!(&'a mut #rt::Keys<#item, #key, #state>)
                }
                Mode::Segment(_) => hygienic!(#rt::Shard<'a, #item, #key, #state>),
            }
        }
        Field::State(stage) => {
            let state = pipe.projection(stage, "State");
            hygienic!(&'a mut #state)
        }
        Field::Buffer(stage) => {
            let out = pipe.projection(stage, "Out");
            hygienic!(&'a mut ::pipewright::Emit<#out>)
        }
        Field::Batch(stage) => {
            let item = pipe.projection(stage, "In");
            hygienic!(&'a mut #rt::Collector<#item>)
        }
        Field::Calls(_) => hygienic!(&'a mut #rt::CallsOf<Pipeline>),
        Field::Ahead(stage) => {
            let item = link_item(pipe, stage);
            hygienic!(&'a mut #rt::Ahead<#item>)
        }
        Field::Guard(stage) => {
            let item = super::guards::item_type(pipe, stage);
            match pipe.nodes[stage].is_async() {
                true => hygienic!(&'a #rt::Flying<'a, #item>),
                false => hygienic!(&'a #rt::Guarding<'a, #item>),
            }
        }
        Field::Kept(stage) => {
            let item = pipe.projection(stage, "In");
            match (pipe.nodes[stage].is_batch(), letter::keeper(pipe, stage)) {
                (false, _) => hygienic!(Option<#item>),
                (true, Some(_)) => hygienic!(Option<::pipewright::Batch<#item>>),
                (true, None) => hygienic!(Option<usize>),
            }
        }
        Field::Out(stage) => {
            let item = link_item(pipe, stage);
            if super::pinned::reads_ring(pipe, stage) {
                return hygienic!(#rt::Sending<'a, #item>);
            }
            hygienic!(&'a mut #rt::Carrier<#item>)
        }
    }
}
