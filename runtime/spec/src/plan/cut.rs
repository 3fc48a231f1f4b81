//! Decides for each stage whether it joins the loop of its producers or starts one of its own.

use super::order::topological;
use super::{Class, Head, INPUT, Link, LinkKind, Out, Plan, Segment};
use crate::cores::CoreSet;
use crate::model::{Model, Place, Stage, StateKind};
use crate::options::Order;

pub(super) fn cut<P: Place>(model: &Model<P>) -> Plan {
    let mut cutter = Cutter::new(model);
    for stage in cutter.plan.order.clone() {
        if !cutter.is_source(stage) {
            cutter.place(stage);
        }
    }
    cutter.plan
}

/// What becomes of a stage.
enum Fate {
    /// It joins this segment.
    Fuse(usize),
    /// It starts a segment behind a link.
    Cut {
        kind: LinkKind,
        class: Class,
        ordered: bool,
    },
}

/// Each key to its own, and behind that there is order within each key.
fn by_key(ordered: bool) -> Fate {
    Fate::Cut {
        kind: LinkKind::Keyed { ordered },
        class: Class::Keyed,
        ordered: false,
    }
}

fn gives_order_up<P>(stage: &Stage<P>) -> bool {
    let order = stage.options.order.as_ref();
    order.is_some_and(|order| order.value == Order::Any)
}

struct Cutter<'a, P> {
    model: &'a Model<P>,
    plan: Plan,
    /// The segment of each stage that has one.
    segment: Vec<Option<usize>>,
    /// The segment of the push input.
    input: Option<usize>,
    /// Carriers that a ticket of each source brings into each segment.
    carriers: Vec<Vec<usize>>,
    /// The part numbers of what comes into each segment are below this. Parts of different sources may have different
    /// numbers, so it can be more than any ticket brings.
    numbers: Vec<usize>,
}

impl<'a, P: Place> Cutter<'a, P> {
    /// Each source and the push input head a segment.
    fn new(model: &'a Model<P>) -> Self {
        let order = topological(model);
        let mut sources: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&n| model.stages[n].from.is_empty())
            .collect();
        sources.sort_unstable();
        let plan = Plan {
            order,
            segments: Vec::new(),
            links: Vec::new(),
            sources: sources.clone(),
        };
        let segment = vec![None; model.stages.len()];
        let mut cutter = Self {
            model,
            plan,
            segment,
            input: None,
            carriers: Vec::new(),
            numbers: Vec::new(),
        };
        for source in sources {
            let cores = cutter.cores(source);
            cutter.segment[source] =
                Some(cutter.open(Head::Source(source), Class::Parallel, true, cores));
        }
        if model.reads_input() {
            cutter.input = Some(cutter.open(Head::Input, Class::Parallel, true, None));
        }
        let heads = cutter.plan.segments.len();
        cutter.carriers = (0..heads)
            .map(|own| (0..heads).map(|n| usize::from(n == own)).collect())
            .collect();
        cutter.numbers = vec![1; heads];
        cutter
    }

    fn is_source(&self, stage: usize) -> bool {
        self.model.stages[stage].from.is_empty()
    }

    /// The cores of a stage's own threads.
    fn cores(&self, stage: usize) -> Option<CoreSet> {
        let given = self.model.stages[stage].options.cores.as_ref();
        given.map(|given| given.value.clone())
    }

    fn open(&mut self, head: Head, class: Class, ordered: bool, cores: Option<CoreSet>) -> usize {
        let (stages, outs) = (Vec::new(), Vec::new());
        self.plan.segments.push(Segment {
            head,
            class,
            stages,
            outs,
            ordered,
            keys_in_order: false,
            tagged: false,
            cores,
            guarded: false,
            awaits: false,
        });
        self.plan.segments.len() - 1
    }

    fn place(&mut self, stage: usize) {
        let producers = self.producers(stage);
        match self.fate(stage, &producers) {
            Fate::Fuse(segment) => {
                self.plan.segments[segment].stages.push(stage);
                self.segment[stage] = Some(segment);
            }
            Fate::Cut {
                kind,
                class,
                ordered,
            } => self.link(stage, &producers, kind, class, ordered),
        }
    }

    /// The segments that feed a stage, each once, in their order.
    fn producers(&self, stage: usize) -> Vec<usize> {
        let mut found: Vec<usize> = self.model.stages[stage]
            .from
            .iter()
            .filter_map(|door| match door.is_input() {
                true => self.input,
                false => self
                    .model
                    .find(&door.stage.text)
                    .and_then(|producer| self.segment[producer]),
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn fate(&self, index: usize, producers: &[usize]) -> Fate {
        let stage = &self.model.stages[index];
        let any = gives_order_up(stage);
        let all_ordered = producers
            .iter()
            .all(|&segment| self.plan.segments[segment].ordered);
        let ordered = all_ordered && !any;
        // Several workers would not put the batches of a pinned segment in the order of keys again.
        let keys = matches!(producers, [one] if self.plan.segments[*one].keys_in_order);
        let keys = keys && !any && !self.is_sink(stage);
        if stage.options.cores.is_some() {
            return self.pinned(index, producers, ordered);
        }
        if stage.is_async() {
            return self.to_many(index, producers, ordered);
        }
        if stage.is_guarded() {
            return self.guarded(index, producers, ordered);
        }
        match stage.state().unwrap_or(StateKind::None) {
            StateKind::Keyed => by_key(ordered),
            StateKind::Serial => self.serial(producers, ordered),
            StateKind::None if !any && self.is_sink(stage) => {
                self.sink(index, producers, all_ordered)
            }
            StateKind::None | StateKind::PerWorker => self.parallel(producers, ordered, keys),
        }
    }

    /// A stage with threads of its own joins the stages before it that run on the same ones, unless these threads must be
    /// given their items by key, or one of the two is guarded: that one's batches have to be able to wait.
    fn pinned(&self, index: usize, producers: &[usize], ordered: bool) -> Fate {
        let cores = self.cores(index);
        let several = cores.as_ref().is_some_and(|cores| cores.len() > 1);
        if several && self.model.stages[index].state() == Some(StateKind::Keyed) {
            return by_key(ordered);
        }
        if let [one] = producers
            && self.plan.segments[*one].cores == cores
            && !self.plan.segments[*one].waits()
            && !self.model.stages[index].is_guarded()
        {
            return Fate::Fuse(*one);
        }
        // Whichever of several threads is free takes the next batch; one takes them in turn.
        let (kind, class) = match (several, ordered) {
            (true, _) => (LinkKind::Direct, Class::Parallel),
            (false, true) => (LinkKind::Ordered, Class::Serial),
            (false, false) => (LinkKind::Arrival, Class::Serial),
        };
        Fate::Cut {
            kind,
            class,
            ordered,
        }
    }

    /// A guarded stage shares its loop with no other, so that its batches can wait.
    fn guarded(&self, index: usize, producers: &[usize], ordered: bool) -> Fate {
        let stage = &self.model.stages[index];
        let serial = |kind| Fate::Cut {
            kind,
            class: Class::Serial,
            ordered,
        };
        let in_turn = match stage.state().unwrap_or(StateKind::None) {
            StateKind::Keyed => return by_key(ordered),
            StateKind::Serial => true,
            StateKind::None => ordered && self.is_sink(stage),
            StateKind::PerWorker => false,
        };
        match (in_turn, ordered) {
            (true, true) => serial(LinkKind::Ordered),
            (true, false) => serial(LinkKind::Arrival),
            (false, _) => self.to_many(index, producers, ordered),
        }
    }

    /// Whoever is free takes the next batch, unless that would lose the order of keys.
    fn to_many(&self, index: usize, producers: &[usize], ordered: bool) -> Fate {
        let any = gives_order_up(&self.model.stages[index]);
        let keys = matches!(producers, [one] if self.plan.segments[*one].keys_in_order);
        match keys && !any {
            true => Fate::Cut {
                kind: LinkKind::Arrival,
                class: Class::Serial,
                ordered,
            },
            false => Fate::Cut {
                kind: LinkKind::Direct,
                class: Class::Parallel,
                ordered,
            },
        }
    }

    /// Nothing is known of a stage that only the RON names, but one that nobody reads ends the way.
    fn is_sink(&self, stage: &Stage<P>) -> bool {
        let read = |reader: &Stage<P>| {
            reader
                .from
                .iter()
                .any(|door| door.stage.text == stage.name.text)
        };
        stage.is_sink() || (stage.kind.is_none() && !self.model.stages.iter().any(read))
    }

    /// The one segment of the pool that feeds a stage and that it may join, if there is just one.
    fn only(&self, producers: &[usize]) -> Option<(usize, &Segment)> {
        match producers {
            [one] => Some((*one, &self.plan.segments[*one])),
            _ => None,
        }
        .filter(|(_, segment)| !segment.is_pinned() && !segment.waits())
    }

    fn serial(&self, producers: &[usize], ordered: bool) -> Fate {
        match self.only(producers) {
            Some((
                segment,
                Segment {
                    class: Class::Serial,
                    ..
                },
            )) => Fate::Fuse(segment),
            _ => {
                let kind = if ordered {
                    LinkKind::Ordered
                } else {
                    LinkKind::Arrival
                };
                Fate::Cut {
                    kind,
                    class: Class::Serial,
                    ordered,
                }
            }
        }
    }

    /// A sink without state that is to see source order.
    fn sink(&self, index: usize, producers: &[usize], all_ordered: bool) -> Fate {
        match self.only(producers) {
            // Order is gone already, so there is nothing to wait for.
            Some((segment, found)) if !found.ordered => Fate::Fuse(segment),
            None if !all_ordered && self.all_wait(producers) => {
                self.to_many(index, producers, false)
            }
            _ => self.serial(producers, all_ordered),
        }
    }

    fn all_wait(&self, producers: &[usize]) -> bool {
        producers
            .iter()
            .all(|segment| self.plan.segments[*segment].waits())
    }

    /// A parallel stage never joins an ordered serial segment: it would make the serial part longer. Behind pinned threads
    /// from which keys come in order, one worker at a time runs it.
    fn parallel(&self, producers: &[usize], ordered: bool, keys: bool) -> Fate {
        match self.only(producers) {
            Some((segment, found)) if found.class != Class::Serial || !found.ordered => {
                Fate::Fuse(segment)
            }
            None if keys => Fate::Cut {
                kind: LinkKind::Arrival,
                class: Class::Serial,
                ordered,
            },
            _ => Fate::Cut {
                kind: LinkKind::Direct,
                class: Class::Parallel,
                ordered,
            },
        }
    }

    fn link(
        &mut self,
        stage: usize,
        producers: &[usize],
        kind: LinkKind,
        class: Class,
        ordered: bool,
    ) {
        let link = self.plan.links.len();
        let mut base = 0_usize;
        for &producer in producers {
            self.plan.segments[producer].outs.push(Out { link, base });
            base = base.saturating_add(self.numbers[producer]);
        }
        let parts = self.parts(producers);
        let segment = self.open(Head::Link(link), class, ordered, self.cores(stage));
        self.plan.segments[segment].stages.push(stage);
        self.plan.segments[segment].guarded = self.model.stages[stage].is_guarded();
        self.plan.segments[segment].awaits = self.model.stages[stage].is_async();
        // Ways that meet where whoever is free takes the next batch are not put in order.
        let mixed = kind == LinkKind::Direct && producers.len() > 1;
        self.plan.segments[segment].keys_in_order =
            !ordered && !mixed && self.order_is_known(stage, producers);
        self.segment[stage] = Some(segment);
        // A gate that keeps order joins the parts of a ticket to one carrier.
        let joined = |parts: &usize| {
            if kind == LinkKind::Ordered {
                1.min(*parts)
            } else {
                *parts
            }
        };
        self.carriers.push(parts.iter().map(joined).collect());
        self.numbers.push(joined(&base));
        let paths = parts.iter().copied().max().unwrap_or(0);
        let from = self.doors(stage);
        self.plan.links.push(Link {
            to: stage,
            from,
            kind,
            segment,
            paths,
            parts,
            tagged: false,
        });
    }

    /// Do items come to a stage in the order of the source, or of keys, and is it to keep that?
    fn order_is_known(&self, stage: usize, producers: &[usize]) -> bool {
        let known = |segment: &usize| {
            let segment = &self.plan.segments[*segment];
            segment.ordered || segment.keys_in_order
        };
        !gives_order_up(&self.model.stages[stage]) && producers.iter().all(known)
    }

    /// How many carriers a ticket of each source sends to a link of these producers.
    ///
    /// They can grow exponentially; a rule refuses such pipelines, by their plan.
    fn parts(&self, producers: &[usize]) -> Vec<usize> {
        let sources = self.plan.sources.len() + usize::from(self.input.is_some());
        let mut parts = vec![0_usize; sources];
        for &producer in producers {
            for (sum, carriers) in parts.iter_mut().zip(&self.carriers[producer]) {
                *sum = sum.saturating_add(*carriers);
            }
        }
        parts
    }

    fn doors(&self, stage: usize) -> Vec<(usize, Option<String>)> {
        let doors = self.model.stages[stage].from.iter();
        doors
            .filter_map(|door| {
                let producer = if door.is_input() {
                    Some(INPUT)
                } else {
                    self.model.find(&door.stage.text)
                };
                producer
                    .map(|producer| (producer, door.door.as_ref().map(|name| name.text.clone())))
            })
            .collect()
    }
}
