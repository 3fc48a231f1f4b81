//! Pools and buffers that have a tenth of what is wanted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipewright::{
    Batch, Emit, Flow, Report,
    memory::{Block, Class, Pool},
    pipeline,
};
use pipewright_tests::{
    eventually, faults,
    oracle::{Case, InOrder},
};

/// A pool, and what was asked of it.
#[derive(Debug)]
pub struct Env {
    pool: Pool,
    items: u64,
    most: AtomicU64,
    /// Times that the source found nothing.
    waits: AtomicU64,
    /// Copies that were made elsewhere.
    heap: AtomicU64,
}

impl Env {
    fn new(blocks: usize, items: u64) -> Arc<Self> {
        let pool = Pool::builder().blocks(Class::Kib1, blocks).build();
        Arc::new(Self {
            pool: pool.unwrap(),
            items,
            most: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            heap: AtomicU64::new(0),
        })
    }

    fn in_use(&self) -> u64 {
        self.pool.stats().class(Class::Kib1).unwrap().blocks.in_use
    }
}

/// A copy, which is made on the heap where the pool has nothing.
#[derive(Debug)]
pub enum Copied {
    Pooled(Block),
    Heap(Box<[u8]>),
}

#[pipeline(env = Arc<Env>, pool(workers = 3))]
mod pooled {
    use super::*;

    /// Rests while there is no block.
    #[source(idle = "20us", batch = 64)]
    pub fn fill(next: &mut u64, out: &mut Emit<Block>, env: &Arc<Env>) -> Flow {
        if *next == env.items {
            return Flow::Done;
        }
        let Ok(mut block) = env.pool.alloc(1_000) else {
            env.waits.fetch_add(1, Relaxed);
            return Flow::Idle;
        };
        block[..8].copy_from_slice(&next.to_le_bytes());
        out.send(block);
        *next += 1;
        Flow::More
    }

    #[stage(from = fill, batch = 256, linger = "1ms")]
    pub fn pack(_: &mut Batch<Block>, env: &Arc<Env>) {
        env.most.fetch_max(env.in_use(), Relaxed);
    }

    /// Wants a second block for each item.
    #[stage(from = pack)]
    pub fn copy(block: Block, env: &Arc<Env>) -> Copied {
        match env.pool.alloc(1_000) {
            Ok(mut copy) => {
                copy[..8].copy_from_slice(&block[..8]);
                Copied::Pooled(copy)
            }
            Err(_) => {
                env.heap.fetch_add(1, Relaxed);
                Copied::Heap(block[..8].into())
            }
        }
    }

    #[sink(from = copy, batch = 64, linger = "1ms")]
    pub fn last(items: &mut Batch<Copied>, seen: &mut InOrder) {
        for item in items.drain() {
            let bytes = match &item {
                Copied::Pooled(block) => &block[..8],
                Copied::Heap(bytes) => bytes,
            };
            seen.see(u64::from_le_bytes(bytes.try_into().unwrap()));
        }
    }
}

/// Runs to its end within a minute.
fn ended(env: &Arc<Env>, tuning: &str) -> Report<pooled::Pipeline> {
    let builder = pooled::pipeline()
        .in_parallel()
        .tuning("tenth", tuning)
        .unwrap();
    let run = builder.start(Arc::clone(env)).unwrap();
    eventually(|| {
        std::thread::park_timeout(Duration::from_millis(1));
        run.is_finished()
    });
    let mut report = run.wait().unwrap();
    let seen = report.take_state::<pooled::last>().unwrap();
    let items = env.items;
    assert_eq!(
        (seen.items, seen.sum, seen.disordered),
        (items, (0..items).sum(), 0),
        "{report}"
    );
    assert!(report.ledger().is_balanced());
    assert_eq!(env.in_use(), 0, "blocks are lost");
    report
}

#[test]
fn c7_a_pool_with_a_tenth_of_what_is_wanted_slows_a_run_down_and_no_more() {
    let case = Case::begin("C7");
    let items = faults(500_000);
    let ample = Env::new(20_000, items);
    let wanted = {
        let report = ended(&ample, "()");
        assert_eq!(
            (ample.waits.load(Relaxed), ample.heap.load(Relaxed)),
            (0, 0)
        );
        (ample.most.load(Relaxed), report.metrics().buffers().most)
    };
    drop(ample);
    let env = Env::new((wanted.0 / 10).max(1) as usize, items);
    let memory = format!("(memory: \"{}Ki\")", (wanted.1 / 10 / 1024).max(1));
    let report = ended(&env, &memory);
    let (waits, heap) = (env.waits.load(Relaxed), env.heap.load(Relaxed));
    println!(
        "C7: {items} items, {} of {} blocks, buffers of {} of {} bytes: {waits} waits, {heap} copies on the heap, 0 lost",
        wanted.0 / 10,
        wanted.0,
        report.metrics().buffers().most,
        wanted.1,
    );
    assert!(waits > 0 && heap > 0, "there was enough");
    drop(env);
    case.end();
}
