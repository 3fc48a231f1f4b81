//! By hand: the fused loop, and two threads with chunks of a ring between them.

use super::{Tokens, folded, fused, mixed, scaled};
use crate::harness::{
    Contender,
    threads::{Backoff, on_two_cores},
};

/// Source and second stage on one core, third stage and fold on the other.
fn two_threads(count: u64) -> u64 {
    const CHUNK: usize = 256;
    let (mut give, mut take) = rtrb::RingBuffer::<u64>::new(4096);
    let produce = move || {
        let mut left = 0..count;
        let mut backoff = Backoff::new();
        while !left.is_empty() {
            let want = (CHUNK as u64).min(left.end - left.start) as usize;
            match give.write_chunk_uninit(want) {
                Ok(chunk) => {
                    chunk.fill_from_iter(left.by_ref().map(scaled));
                    backoff = Backoff::new();
                }
                Err(_) => backoff.wait(),
            }
        }
    };
    let consume = move || {
        let (mut sum, mut left, mut backoff) = (0, count, Backoff::new());
        while left > 0 {
            let want = (CHUNK as u64).min(left) as usize;
            match take.read_chunk(take.slots().max(want)) {
                Ok(chunk) => {
                    left -= chunk.len() as u64;
                    let (first, second) = chunk.as_slices();
                    sum = first
                        .iter()
                        .chain(second)
                        .fold(sum, |sum, x| folded(sum, mixed(*x)));
                    chunk.commit_all();
                    backoff = Backoff::new();
                }
                Err(_) => backoff.wait(),
            }
        }
        sum
    };
    on_two_cores(produce, consume).1
}

pub(super) fn contenders(tokens: Tokens) -> Vec<Contender> {
    vec![
        Contender::limit("fused loop, 1 thread", tokens.work(fused)),
        Contender::limit("2 threads by hand, rtrb chunks", tokens.work(two_threads)),
    ]
}
