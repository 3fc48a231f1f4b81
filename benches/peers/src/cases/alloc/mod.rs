//! `alloc_same_*`, `alloc_cross_*`: a block of memory is taken, its first word written, and given back: by the same thread
//! with 64 blocks alive, or by a thread on the other core.

mod limits;
mod ours;
mod pools;

use std::{hint::spin_loop, marker::PhantomData};

use pipewright_peers_raw::heap::{Block, Glibc, Heap, Je, Mi};

use crate::harness::{Contender, Sample, Scale, contender::Kind, threads::on_two_cores};

/// Who takes the blocks and who gives them back.
#[derive(Clone, Copy)]
pub(crate) enum Between {
    /// One thread, in bursts of 64.
    SameThread,
    /// Core 0 and core 1, with a ring between them.
    TwoCores,
}

/// Blocks that are alive at the same time on one thread.
const LIVE: usize = 64;
/// Blocks that may be on their way to the other core.
const CAPACITY: usize = 1024;

/// Something that gives blocks, which go back to it when they are dropped.
trait Store: Sync + 'static {
    /// A block.
    type Block<'s>: Send;

    /// Takes a block and writes its first word.
    fn take(&self, word: u64) -> Self::Block<'_>;

    /// Reads the first word.
    fn word(block: &Self::Block<'_>) -> u64;
}

/// An allocator, called directly.
struct Direct<H, const WORDS: usize>(PhantomData<fn() -> H>);

impl<H: Heap, const WORDS: usize> Store for Direct<H, WORDS> {
    type Block<'s> = Block<H, WORDS>;

    #[inline]
    fn take(&self, word: u64) -> Block<H, WORDS> {
        Block::new(word)
    }

    #[inline]
    fn word(block: &Block<H, WORDS>) -> u64 {
        block.word()
    }
}

/// How many blocks, and where they go.
#[derive(Clone, Copy)]
struct Task {
    scale: Scale,
    between: Between,
    count: u64,
}

impl Task {
    /// The first words are the numbers below `count`; `run` gives their sum as it was read from the blocks.
    fn work(
        self,
        mut run: impl FnMut(u64) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        let sum = self.count * (self.count - 1) / 2;
        move || self.scale.nanos(self.count, &sum, || run(self.count))
    }

    fn contender<S: Store>(self, kind: Kind, name: &'static str, store: S) -> Contender {
        match self.between {
            Between::SameThread => {
                Contender::new(kind, name, self.work(move |n| same_thread(&store, n)))
            }
            Between::TwoCores => {
                Contender::new(kind, name, self.work(move |n| two_cores(&store, n)))
            }
        }
    }

    /// An allocator's rows: across cores its blocks also go over in vectors.
    fn allocator<H: Heap, const WORDS: usize>(self, names: [&'static str; 2]) -> Vec<Contender> {
        let direct = || Direct::<H, WORDS>(PhantomData);
        let mut all = vec![self.contender(Kind::Peer, names[0], direct())];
        if let Between::TwoCores = self.between {
            let store = direct();
            let run = move |count| in_vectors(&store, count);
            all.push(Contender::peer(names[1], self.work(run)));
        }
        all
    }
}

fn same_thread<S: Store>(store: &S, count: u64) -> u64 {
    let mut live = Vec::with_capacity(LIVE);
    let mut sum = 0;
    for start in (0..count).step_by(LIVE) {
        let words = start..count.min(start + LIVE as u64);
        live.extend(words.map(|word| store.take(word)));
        sum += live.drain(..).map(|block| S::word(&block)).sum::<u64>();
    }
    sum
}

fn two_cores<S: Store>(store: &S, count: u64) -> u64 {
    let (mut give, mut take) = rtrb::RingBuffer::new(CAPACITY);
    let produce = move || {
        for word in 0..count {
            let mut block = store.take(word);
            while let Err(rtrb::PushError::Full(back)) = give.push(block) {
                block = back;
                spin_loop();
            }
        }
    };
    let consume = move || {
        let word = |_| {
            loop {
                match take.pop() {
                    Ok(block) => break S::word(&block),
                    Err(_) => spin_loop(),
                }
            }
        };
        (0..count).map(word).sum()
    };
    on_two_cores(produce, consume).1
}

/// Vectors of [`LIVE`] blocks go through the ring, and come back empty through another one.
fn in_vectors<S: Store>(store: &S, count: u64) -> u64 {
    let vectors = CAPACITY / LIVE;
    let (mut give, mut take) = rtrb::RingBuffer::new(vectors);
    let (mut back, mut again) = rtrb::RingBuffer::new(vectors);
    let produce = move || {
        for start in (0..count).step_by(LIVE) {
            let words = start..count.min(start + LIVE as u64);
            let mut blocks: Vec<S::Block<'_>> =
                again.pop().unwrap_or_else(|_| Vec::with_capacity(LIVE));
            blocks.extend(words.map(|word| store.take(word)));
            while let Err(rtrb::PushError::Full(full)) = give.push(blocks) {
                blocks = full;
                spin_loop();
            }
        }
    };
    let consume = move || {
        let (mut sum, mut seen) = (0, 0);
        while seen < count {
            let Ok(mut blocks) = take.pop() else {
                spin_loop();
                continue;
            };
            seen += blocks.len() as u64;
            sum += blocks.drain(..).map(|block| S::word(&block)).sum::<u64>();
            // One vector too many is freed.
            drop(back.push(blocks));
        }
        sum
    };
    on_two_cores(produce, consume).1
}

/// The contenders for blocks of that many words of 8 bytes.
pub(crate) fn contenders<const WORDS: usize>(scale: Scale, between: Between) -> Vec<Contender> {
    let full = match between {
        Between::SameThread => 1_000_000,
        Between::TwoCores => 500_000,
    };
    let task = Task {
        scale,
        between,
        count: scale.of(full, 2_000),
    };
    let mut all = ours::contenders::<WORDS>(task);
    all.extend(limits::contenders::<WORDS>(task));
    all.extend(task.allocator::<Glibc, WORDS>(["glibc malloc", "glibc malloc, vectors"]));
    all.extend(task.allocator::<Je, WORDS>(["jemalloc", "jemalloc, vectors"]));
    all.extend(task.allocator::<Mi, WORDS>(["mimalloc", "mimalloc, vectors"]));
    all.extend(pools::contenders::<WORDS>(task));
    all
}
