//! Dataflow and stream libraries: renoir, timely, dfir_rs, futures, tokio-stream.

use std::{cell::Cell, rc::Rc};

use dfir_rs::dfir_syntax;
use futures::{FutureExt, StreamExt, stream};
use renoir::{StreamContext, config::RuntimeConfig, operator::source::ParallelIteratorSource};
use timely::dataflow::{
    channels::pact::Pipeline,
    operators::{
        ToStream,
        generic::Operator,
        vec::{Filter, Map},
    },
};

use super::{Record, Size, folded, kept, mixed, recorded};
use crate::harness::Contender;

/// All stages of a replica are one block of operators, which the compiler fuses; sums meet at the end.
fn renoir_fused(items: u64, workers: u64) -> u64 {
    let config = RuntimeConfig::local(workers).expect("a valid number of workers");
    let context = StreamContext::new(config);
    let result = context
        .stream(ParallelIteratorSource::new(0..items))
        .map(mixed)
        .filter(kept)
        .map(recorded)
        .map(|Record(words)| words)
        .fold_assoc(
            0u64,
            |sum, words| *sum = folded(*sum, &Record(words)),
            |sum, part| *sum = sum.wrapping_add(part),
        )
        .collect_vec();
    context.execute_blocking();
    let sums = result.get().expect("the result is at this host");
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// The same with the kept numbers redistributed in between: a real hand-over.
fn renoir_shuffled(items: u64) -> u64 {
    let config = RuntimeConfig::local(2).expect("a valid number of workers");
    let context = StreamContext::new(config);
    let result = context
        .stream(ParallelIteratorSource::new(0..items))
        .batch_mode(renoir::BatchMode::fixed(1024))
        .map(mixed)
        .filter(kept)
        .shuffle()
        .map(recorded)
        .map(|Record(words)| words)
        .fold_assoc(
            0u64,
            |sum, words| *sum = folded(*sum, &Record(words)),
            |sum, part| *sum = sum.wrapping_add(part),
        )
        .collect_vec();
    context.execute_blocking();
    let sums = result.get().expect("the result is at this host");
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// Each worker makes its part of the numbers; the sink is an operator that adds up what it is given.
fn timely(items: u64, workers: usize) -> u64 {
    let config = match workers {
        1 => timely::Config::thread(),
        _ => timely::Config::process(workers),
    };
    let guards = timely::execute(config, move |worker| {
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        let (start, end) = (items * index / peers, items * (index + 1) / peers);
        let sum = Rc::new(Cell::new(0));
        let total = Rc::clone(&sum);
        worker.dataflow::<u64, _, _>(|scope| {
            (start..end)
                .to_stream(scope)
                .map(mixed)
                .filter(kept)
                .map(recorded)
                .sink(Pipeline, "fold", move |(input, _)| {
                    input.for_each(|_, records: &mut Vec<Record>| {
                        total.set(records.iter().fold(total.get(), folded));
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

fn dfir(items: u64) -> u64 {
    let sum = Rc::new(Cell::new(0));
    let total = Rc::clone(&sum);
    let mut flow = dfir_syntax! {
        source_iter(0..items)
            -> map(mixed)
            -> filter(kept)
            -> map(recorded)
            -> for_each(|record| total.set(folded(total.get(), &record)));
    };
    flow.run_available_sync();
    drop(flow);
    sum.get()
}

/// The whole stream is ready, so it is polled once to its end.
fn futures_stream(items: u64) -> u64 {
    stream::iter(0..items)
        .map(mixed)
        .filter(|y| std::future::ready(kept(y)))
        .map(recorded)
        .fold(0, |sum, record| std::future::ready(folded(sum, &record)))
        .now_or_never()
        .expect("nothing waits")
}

/// `tokio_stream`'s own adapters on a runtime of one thread; its iterator yields to the scheduler now and then.
fn tokio_stream(runtime: &tokio::runtime::Runtime, items: u64) -> u64 {
    use tokio_stream::StreamExt;
    let records = StreamExt::map(
        StreamExt::filter(StreamExt::map(tokio_stream::iter(0..items), mixed), kept),
        recorded,
    );
    runtime.block_on(StreamExt::fold(records, 0, |sum, record| {
        folded(sum, &record)
    }))
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("tokio starts");
    vec![
        Contender::peer("renoir 1 worker", size.work(|n| renoir_fused(n, 1))),
        Contender::peer(
            "renoir 2 workers (fused block)",
            size.work(|n| renoir_fused(n, 2)),
        ),
        Contender::peer("renoir 2 workers + shuffle", size.work(renoir_shuffled)),
        Contender::peer("timely 1 worker", size.work(|n| timely(n, 1))),
        Contender::peer("timely 2 workers", size.work(|n| timely(n, 2))),
        Contender::peer("dfir_rs (1 thread)", size.work(dfir)),
        Contender::peer("futures::stream (1 thread)", size.work(futures_stream)),
        Contender::peer(
            "tokio-stream (1 thread)",
            size.work(move |n| tokio_stream(&runtime, n)),
        ),
    ]
}
