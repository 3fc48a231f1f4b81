//! Dataflow libraries that exchange items by key and keep the order of each.

use std::{cell::Cell, collections::HashMap, rc::Rc};

use renoir::{BatchMode, StreamContext, config::RuntimeConfig, operator::source::IteratorSource};
use timely::dataflow::{
    channels::pact::Exchange,
    operators::{ToStream, generic::Operator},
};

use super::{Items, Task, stepped};
use crate::harness::Contender;

/// The numbers of an iterator, which are read at one place so that there is an order.
fn numbered(items: Items) -> impl Iterator<Item = (u32, u64)> + Send + 'static {
    (0..items.len()).map(move |at| (items[at], at as u64))
}

/// `group_by` sends each key to one replica; `rich_map` has a state for each key.
fn renoir(items: Items) -> u64 {
    let config = RuntimeConfig::local(2).expect("a valid number of workers");
    let context = StreamContext::new(config);
    let result = context
        .stream(IteratorSource::new(numbered(items)))
        .batch_mode(BatchMode::fixed(1024))
        .group_by(|(key, _)| *key)
        .rich_map({
            let mut state = 0;
            move |(_, (_, number))| {
                state = stepped(state, number);
                state
            }
        })
        .drop_key()
        .fold_assoc(
            0u64,
            |sum, state| *sum = sum.wrapping_add(state),
            |sum, part| *sum = sum.wrapping_add(part),
        )
        .collect_vec();
    context.execute_blocking();
    let sums = result.get().expect("the result is at this host");
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// The first worker reads the items; an exchange sends each key to one worker.
fn timely(items: Items) -> u64 {
    let guards = timely::execute(timely::Config::process(2), move |worker| {
        let mine = worker.index() == 0;
        let count = if mine { items.len() } else { 0 };
        let items = numbered(items.clone()).take(count);
        let sum = Rc::new(Cell::new(0u64));
        let total = Rc::clone(&sum);
        worker.dataflow::<u64, _, _>(|scope| {
            let by_key = Exchange::new(|(key, _): &(u32, u64)| u64::from(*key));
            let mut states: HashMap<u32, u64, foldhash::fast::FixedState> = HashMap::default();
            items
                .to_stream(scope)
                .sink(by_key, "step", move |(input, _)| {
                    input.for_each(|_, batch: &mut Vec<(u32, u64)>| {
                        for (key, number) in batch.drain(..) {
                            let state = states.entry(key).or_default();
                            *state = stepped(*state, number);
                            total.set(total.get().wrapping_add(*state));
                        }
                    });
                });
        });
        while worker.step() {}
        sum.get()
    });
    let guards = guards.expect("timely starts");
    let sums = guards.join().into_iter();
    sums.map(|sum| sum.expect("the worker ends"))
        .fold(0, u64::wrapping_add)
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    vec![
        Contender::peer(
            "renoir group_by, 2 workers",
            task.work(|items, _| renoir(items)),
        ),
        Contender::peer(
            "timely exchange, 2 workers",
            task.work(|items, _| timely(items)),
        ),
    ]
}
