//! By hand: the fused loop, blocks with and without AVX-512, and a pipeline of two threads.

use std::{ops::Range, thread};

use pipewright_peers_raw::{blocks, has_avx512};

use super::{Size, folded, fused, kept, mixed, recorded};
use crate::harness::{
    Contender,
    contender::Kind,
    threads::{Backoff, joined, on_two_cores},
};

/// Each of two threads its half.
fn on_two(items: u64, fold: impl Fn(Range<u64>) -> u64 + Sync) -> u64 {
    thread::scope(|scope| {
        let other = scope.spawn(|| fold(items / 2..items));
        fold(0..items / 2).wrapping_add(joined(other))
    })
}

/// Stage by stage over blocks of 512, compacting without a branch.
#[inline(never)]
fn in_blocks(range: Range<u64>) -> u64 {
    const BLOCK: usize = 512;
    let mut sum = 0;
    let mut mixed_block = [0; BLOCK];
    let mut at = range.start;
    while at < range.end {
        let items = (range.end - at).min(BLOCK as u64) as usize;
        for (place, x) in mixed_block[..items].iter_mut().zip(at..) {
            *place = mixed(x);
        }
        let mut count = 0;
        let mut kept_block = [0; BLOCK];
        for y in &mixed_block[..items] {
            kept_block[count] = *y;
            count += usize::from(kept(y));
        }
        for y in &kept_block[..count] {
            sum = folded(sum, &recorded(*y));
        }
        at += items as u64;
    }
    sum
}

/// Source, mix and filter on one core, record and fold on the other; chunks of a ring between them.
fn two_stage_threads(items: u64) -> u64 {
    const CHUNK: usize = 256;
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(4096);
    let produce = move || {
        let mut numbers = (0..items).map(mixed).filter(kept).peekable();
        let mut backoff = Backoff::new();
        while numbers.peek().is_some() {
            match producer.write_chunk_uninit(CHUNK) {
                Ok(chunk) => {
                    chunk.fill_from_iter(&mut numbers);
                    backoff = Backoff::new();
                }
                Err(_) => backoff.wait(),
            }
        }
    };
    let consume = move || {
        let mut sum = 0;
        let mut backoff = Backoff::new();
        loop {
            // Looked at first: if the producer is gone and nothing is there now, nothing will come.
            let last = consumer.is_abandoned();
            let there = consumer.slots();
            match consumer.read_chunk(there) {
                Ok(chunk) if !chunk.is_empty() => {
                    let (first, second) = chunk.as_slices();
                    for y in first.iter().chain(second) {
                        sum = folded(sum, &recorded(*y));
                    }
                    chunk.commit_all();
                    backoff = Backoff::new();
                }
                _ if last => return sum,
                _ => backoff.wait(),
            }
        }
    };
    on_two_cores(produce, consume).1
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    let by_vector = "blocks of 512, AVX-512 by hand, 2 threads";
    let on_one = "blocks of 512, AVX-512 by hand, 1 thread";
    let vector = |range| blocks::fold(range).unwrap_or_default();
    let mut all = vec![
        Contender::limit("fused loop, 1 thread", size.work(|n| fused(0..n))),
        Contender::limit("fused loop, 2 threads", size.work(|n| on_two(n, fused))),
        Contender::limit(
            "blocks of 512, 2 threads",
            size.work(|n| on_two(n, in_blocks)),
        ),
        Contender::limit(
            "2-thread pipeline by hand, rtrb chunks",
            size.work(two_stage_threads),
        ),
    ];
    if has_avx512() {
        all.push(Contender::limit(
            by_vector,
            size.work(move |n| on_two(n, vector)),
        ));
        all.push(Contender::limit(on_one, size.work(move |n| vector(0..n))));
    } else {
        all.push(Contender::skipped(
            Kind::Limit,
            by_vector,
            "the machine has no AVX-512",
        ));
        all.push(Contender::skipped(
            Kind::Limit,
            on_one,
            "the machine has no AVX-512",
        ));
    }
    all
}
