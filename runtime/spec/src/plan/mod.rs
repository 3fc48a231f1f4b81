//! The plan: which stages share a loop, and how the loops hand items over.

mod cut;
mod order;
mod rings;
mod tags;

#[cfg(test)]
mod tests;

pub(crate) use order::{cycle, topological};

use crate::cores::CoreSet;
use crate::model::{Model, Place};

/// A pipeline cut into segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The stages in topological order.
    pub order: Vec<usize>,
    /// The segments, producers before consumers.
    pub segments: Vec<Segment>,
    /// The links between segments.
    pub links: Vec<Link>,
    /// The source stages, in the order they were written in.
    pub sources: Vec<usize>,
}

/// How the items of a segment are shared between workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Any worker runs any of them.
    Parallel,
    /// One worker at a time.
    Serial,
    /// One worker at a time for each partition.
    Keyed,
}

/// A maximal run of stages that share one loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What feeds it.
    pub head: Head,
    /// How its items are shared between workers.
    pub class: Class,
    /// Its stages in topological order, without the source.
    pub stages: Vec<usize>,
    /// The links that it feeds.
    pub outs: Vec<Out>,
    /// Do its carriers carry the sequence of the ticket: one for each ticket and path?
    pub ordered: bool,
    /// Not in the order of the source: are the items of each key in order, of the keyed stages before it?
    pub keys_in_order: bool,
    /// Does it push tags on at least one of its outs?
    pub tagged: bool,
    /// Does something guard its one stage?
    pub guarded: bool,
    /// Is its one stage an `async fn`?
    pub awaits: bool,
    /// The cores of its own threads; without, the workers of the pool run it.
    pub cores: Option<CoreSet>,
}

impl Segment {
    /// May its batches wait in it, so that it shares its loop with no other stage?
    pub fn waits(&self) -> bool {
        self.guarded || self.awaits
    }

    /// Has it threads of its own?
    pub fn is_pinned(&self) -> bool {
        self.cores.is_some()
    }

    /// Does one thread of its own run it?
    pub fn has_one_thread(&self) -> bool {
        self.cores.as_ref().is_some_and(|cores| cores.len() == 1)
    }
}

/// What feeds a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// A source stage.
    Source(usize),
    /// The push input.
    Input,
    /// A link.
    Link(usize),
}

/// A link that a segment feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Out {
    /// The link.
    pub link: usize,
    /// The first of the link's parts that this segment fills.
    pub base: usize,
}

/// How a link hands items over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// To whoever is free.
    Direct,
    /// In source order, to one worker at a time.
    Ordered,
    /// As they arrive, to one worker at a time.
    Arrival,
    /// To the partition of the item's key.
    Keyed {
        /// In source order for each key.
        ordered: bool,
    },
    /// Item by item, from one pinned thread to another.
    Ring,
}

/// A hand-over between segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The stage that it feeds.
    pub to: usize,
    /// The outputs that feed it: stage and door; [`INPUT`] is the push input.
    pub from: Vec<(usize, Option<String>)>,
    /// How it hands items over.
    pub kind: LinkKind,
    /// The segment that it heads.
    pub segment: usize,
    /// The most carriers that one ticket sends here.
    pub paths: usize,
    /// How many carriers a ticket of each source sends here, the push input last.
    pub parts: Vec<usize>,
    /// Do its items carry their position in the source batch?
    pub tagged: bool,
}

/// Stands for the push input in [`Link::from`].
pub const INPUT: usize = usize::MAX;

impl Plan {
    /// The segment that a stage is in; for a source, the one that it heads.
    pub fn segment_of(&self, stage: usize) -> Option<usize> {
        self.segments.iter().position(|segment| {
            segment.head == Head::Source(stage) || segment.stages.contains(&stage)
        })
    }

    /// The link that feeds a stage, where it heads a segment.
    pub fn link_to(&self, stage: usize) -> Option<usize> {
        self.links.iter().position(|link| link.to == stage)
    }
}

/// Cuts a checked pipeline into segments.
///
/// A stage whose function is not known counts as a stateless one-to-one stage, and as a sink if
/// nothing reads it. What a model that is not checked refers to wrongly is left out.
pub fn plan<P: Place>(model: &Model<P>) -> Plan {
    let mut plan = cut::cut(model);
    tags::tag(&mut plan);
    rings::find(&mut plan);
    plan
}
