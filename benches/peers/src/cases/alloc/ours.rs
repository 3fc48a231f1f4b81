//! pipewright's pool of blocks. Across cores its blocks go over one by one, and as it means them to: whole magazines at once.

use std::hint::spin_loop;

use pipewright::memory::{Batch, Block, Class, Pool};
use rtrb::{PushError, RingBuffer};

use super::{Between, CAPACITY, LIVE, Store, Task};
use crate::harness::{Contender, contender::Kind, threads::on_two_cores};

const NAME: &str = "pipewright pool";
const ONE_BY_ONE: &str = "pipewright pool, block by block";

/// Blocks of a pool: those on their way, and what may lie free in the magazines of two threads, twice over.
const BLOCKS: usize = 4 * CAPACITY;

#[derive(Clone)]
struct Blocks {
    pool: Pool,
    class: Class,
}

impl Blocks {
    fn new(bytes: usize) -> Result<Self, String> {
        let class = Class::ALL.into_iter().find(|class| class.size() == bytes);
        let class = class.ok_or_else(|| format!("there are no blocks of {bytes} bytes"))?;
        let pool = Pool::builder().blocks(class, BLOCKS).build();
        let pool = pool.map_err(|error| error.to_string())?;
        Ok(Self { pool, class })
    }
}

#[inline(always)]
fn write(block: &mut [u8], word: u64) {
    if let Some(first) = block.first_chunk_mut() {
        *first = word.to_ne_bytes();
    }
}

#[inline(always)]
fn read(block: &[u8]) -> u64 {
    let first = block.first_chunk();
    first.map_or(0, |first| u64::from_ne_bytes(*first))
}

impl Store for Blocks {
    type Block<'s> = Block;

    #[inline]
    fn take(&self, word: u64) -> Block {
        let block = self.pool.take(self.class);
        let mut block = block.expect("fewer are alive than there are");
        write(&mut block, word);
        block
    }

    #[inline]
    fn word(block: &Block) -> u64 {
        read(block)
    }
}

/// Whole magazines go through the ring; as many blocks may be on their way as in the other rows.
fn magazines(blocks: &Blocks, count: u64) -> u64 {
    let (mut give, mut take) = RingBuffer::<Batch>::new(CAPACITY / LIVE);
    let produce = move || {
        let mut words = 0..count;
        while !words.is_empty() {
            let batch = blocks.pool.batch(blocks.class);
            let mut batch = batch.expect("fewer are alive than there are");
            // The last batch may have more blocks than there are numbers left; they carry nothing.
            for block in batch.iter_mut() {
                write(block, words.next().unwrap_or(0));
            }
            while let Err(PushError::Full(back)) = give.push(batch) {
                batch = back;
                spin_loop();
            }
        }
    };
    let consume = move || {
        let (mut sum, mut seen) = (0, 0);
        while seen < count {
            match take.pop() {
                Ok(batch) => {
                    seen += batch.len() as u64;
                    sum += batch.iter().map(read).sum::<u64>();
                }
                Err(_) => spin_loop(),
            }
        }
        sum
    };
    on_two_cores(produce, consume).1
}

pub(super) fn contenders<const WORDS: usize>(task: Task) -> Vec<Contender> {
    let blocks = match Blocks::new(WORDS * size_of::<u64>()) {
        Ok(blocks) => blocks,
        Err(why) => return vec![Contender::skipped(Kind::Ours, NAME, why)],
    };
    match task.between {
        Between::SameThread => vec![task.contender(Kind::Ours, NAME, blocks)],
        Between::TwoCores => {
            let whole = blocks.clone();
            vec![
                Contender::ours(NAME, task.work(move |count| magazines(&whole, count))),
                task.contender(Kind::Ours, ONE_BY_ONE, blocks),
            ]
        }
    }
}
