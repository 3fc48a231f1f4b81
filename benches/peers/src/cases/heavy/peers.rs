//! Libraries for streams of heavy items.

use std::{collections::BTreeMap, sync::Arc, thread};

use futures::{StreamExt, stream};
use pariter::IteratorExt;
use pipewright_peers_raw::tbb;
use rayon::prelude::*;

use super::{Picture, Row, Task};
use crate::harness::{Contender, contender::Kind};

/// Paints rows that come in order.
fn painted(picture: Picture, rows: impl Iterator<Item = Row>) -> Vec<u8> {
    let mut image = Vec::with_capacity(picture.size * picture.size);
    rows.for_each(|row| picture.paint(&mut image, &row));
    image
}

fn rayon_indexed(picture: Picture) -> Vec<u8> {
    let rows = (0..picture.size).into_par_iter().with_max_len(1);
    let rows: Vec<Row> = rows
        .map(|index| picture.go_on(picture.begin(index)))
        .collect();
    painted(picture, rows.into_iter())
}

/// As RustStreamBench writes it: a bridge from a serial iterator, sorted at the end.
fn rayon_bridge(picture: Picture) -> Vec<u8> {
    let rows = (0..picture.size).par_bridge();
    let mut rows: Vec<Row> = rows
        .map(|index| picture.begin(index))
        .map(|row| picture.go_on(row))
        .collect();
    rows.sort_by_key(|row| row.index);
    painted(picture, rows.into_iter())
}

fn pariter_rows(picture: Picture) -> Vec<u8> {
    let rows = (0..picture.size).parallel_map_custom(
        |of| of.threads(2),
        move |index| picture.go_on(picture.begin(index)),
    );
    painted(picture, rows)
}

/// `buffered` keeps the order and up to `waiting` tasks on their way.
fn tokio_buffered(runtime: &tokio::runtime::Runtime, picture: Picture, waiting: usize) -> Vec<u8> {
    runtime.block_on(async {
        let rows = stream::iter(0..picture.size).map(|index| {
            tokio::spawn(async move { picture.begin(index) }).then(move |row| {
                tokio::spawn(async move { picture.go_on(row.expect("the task ends")) })
            })
        });
        use futures::FutureExt;
        let mut rows = std::pin::pin!(rows.buffered(waiting));
        let mut image = Vec::with_capacity(picture.size * picture.size);
        while let Some(row) = rows.next().await {
            picture.paint(&mut image, &row.expect("the task ends"));
        }
        image
    })
}

/// Two threads that share a channel of indexes; the caller puts the rows in order.
fn threads(picture: Picture) -> Vec<u8> {
    let (give, indexes) = crossbeam_channel::bounded(16);
    let (done, rows) = crossbeam_channel::bounded(16);
    thread::scope(|scope| {
        scope.spawn(move || (0..picture.size).try_for_each(|index| give.send(index)));
        for _ in 0..2 {
            let (indexes, done) = (indexes.clone(), done.clone());
            scope.spawn(move || {
                let mut rows = indexes
                    .iter()
                    .map(|index| picture.go_on(picture.begin(index)));
                rows.try_for_each(|row| done.send(row))
            });
        }
        drop(done);
        let mut image = Vec::with_capacity(picture.size * picture.size);
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for row in rows {
            early.insert(row.index, row);
            while let Some(row) = early.remove(&next) {
                picture.paint(&mut image, &row);
                next += 1;
            }
        }
        image
    })
}

fn one_tbb(picture: Picture) -> Vec<u8> {
    let iterations = [picture.first, picture.second];
    // An empty picture is a wrong result.
    tbb::mandelbrot(picture.size as u32, iterations, 2, 16).unwrap_or_default()
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = Arc::new(pool.expect("rayon starts its threads"));
    let same_pool = Arc::clone(&pool);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    let runtime = Arc::new(runtime.expect("tokio starts"));
    let same_runtime = Arc::clone(&runtime);
    let name = "oneTBB parallel_pipeline, 4 filters";
    let tbb = match tbb::INSTALLED {
        true => Contender::peer(name, task.work(one_tbb)),
        false => Contender::skipped(Kind::Peer, name, tbb::MISSING),
    };
    vec![
        tbb,
        Contender::peer(
            "rayon indexed par_iter",
            task.work(move |p| pool.install(|| rayon_indexed(p))),
        ),
        Contender::peer(
            "rayon par_bridge + sort",
            task.work(move |p| same_pool.install(|| rayon_bridge(p))),
        ),
        Contender::peer("pariter", task.work(pariter_rows)),
        Contender::peer(
            "tokio buffered(2)",
            task.work(move |p| tokio_buffered(&runtime, p, 2)),
        ),
        Contender::peer(
            "tokio buffered(16)",
            task.work(move |p| tokio_buffered(&same_runtime, p, 16)),
        ),
        Contender::peer(
            "crossbeam-channel threads, blocking recv",
            task.work(threads),
        ),
    ]
}
