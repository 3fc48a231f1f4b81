//! Libraries that split the numbers among threads: rayon and pariter.

use std::sync::Arc;

use pariter::IteratorExt;
use rayon::prelude::*;

use super::{Size, folded, fused, kept, mixed, recorded};
use crate::harness::Contender;

/// Two threads, started once.
fn pool() -> Arc<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    Arc::new(pool.expect("rayon starts its threads"))
}

fn rayon_items(items: u64) -> u64 {
    (0..items)
        .into_par_iter()
        .map(mixed)
        .filter(kept)
        .map(recorded)
        .fold(|| 0, |sum, record| folded(sum, &record))
        .reduce(|| 0, u64::wrapping_add)
}

fn rayon_chunks(items: u64) -> u64 {
    const CHUNK: u64 = 16_384;
    (0..items.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| fused(chunk * CHUNK..items.min((chunk + 1) * CHUNK)))
        .reduce(|| 0, u64::wrapping_add)
}

/// Chunks keep their order on the way through; a chunk is folded where it is mixed.
fn pariter_chunks(items: u64) -> u64 {
    const CHUNK: u64 = 16_384;
    (0..items.div_ceil(CHUNK))
        .map(move |chunk| chunk * CHUNK..items.min((chunk + 1) * CHUNK))
        .parallel_map_custom(|of| of.threads(2), fused)
        .fold(0, u64::wrapping_add)
}

/// The cheap stages stay on the caller, as the documentation advises; a record is made in parallel.
fn pariter_items(items: u64) -> u64 {
    (0..items)
        .map(mixed)
        .filter(kept)
        .parallel_map_custom(|of| of.threads(2), recorded)
        .fold(0, |sum, record| folded(sum, &record))
}

pub(super) fn contenders(size: Size, small: Size) -> Vec<Contender> {
    let pool = pool();
    let same = Arc::clone(&pool);
    vec![
        Contender::peer(
            "rayon par_iter items",
            size.work(move |n| pool.install(|| rayon_items(n))),
        ),
        Contender::peer(
            "rayon par_iter chunks",
            size.work(move |n| same.install(|| rayon_chunks(n))),
        ),
        Contender::peer("pariter chunks of 16384", size.work(pariter_chunks)),
        Contender::peer("pariter items (after filter)", small.work(pariter_items)),
    ]
}
