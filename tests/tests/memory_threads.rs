//! Pools under many threads: no block has two owners, all come back, and the counts balance.

use std::{sync::Mutex, thread};

use pipewright::memory::{Block, Class, Pool};
use pipewright_tests::blocks::{all, assert_all_back, assert_stamped, stamp};
use proptest::{collection::vec, prelude::*, sample::select};

#[test]
fn threads_that_come_and_go_lose_no_block() {
    let pool = Pool::builder()
        .blocks(Class::Bytes64, 300)
        .magazine(7)
        .build()
        .unwrap();
    for _ in 0..20 {
        thread::scope(|scope| {
            let work = |n: usize| {
                let pool = &pool;
                scope.spawn(move || {
                    let blocks: Vec<_> = (0..n * 5).filter_map(|_| pool.alloc(8).ok()).collect();
                    assert!(blocks.len() >= n);
                })
            };
            let threads: Vec<_> = (1..8).map(work).collect();
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
    assert_all_back(&pool, Class::Bytes64);
    assert_eq!(all(&pool, Class::Bytes64).len(), 300);
}

/// What a thread does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Alloc,
    /// Frees the held block at this position, modulo their number.
    Free(usize),
    /// Leaves a block to whoever takes it.
    Send,
    Receive,
    Batch,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Alloc),
        4 => any::<usize>().prop_map(Step::Free),
        2 => Just(Step::Send),
        2 => Just(Step::Receive),
        1 => Just(Step::Batch),
        1 => Just(Step::Flush),
    ]
}

/// One thread's blocks, each with its mark.
struct Owner<'a> {
    pool: &'a Pool,
    class: Class,
    post: &'a Mutex<Vec<(u64, Block)>>,
    held: Vec<(u64, Block)>,
    next: u64,
}

impl Owner<'_> {
    fn keep(&mut self, mut block: Block) {
        stamp(&mut block, self.next);
        self.held.push((self.next, block));
        self.next += 1;
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Alloc => {
                if let Ok(block) = self.pool.take(self.class) {
                    self.keep(block);
                }
            }
            Step::Free(at) if !self.held.is_empty() => {
                let (mark, block) = self.held.swap_remove(at % self.held.len());
                assert_stamped(&block, mark);
            }
            Step::Send => self
                .post
                .lock()
                .expect("nobody panicked")
                .extend(self.held.pop()),
            Step::Receive => self
                .held
                .extend(self.post.lock().expect("nobody panicked").pop()),
            Step::Batch => {
                let batch = self.pool.batch(self.class).ok();
                batch
                    .into_iter()
                    .flatten()
                    .for_each(|block| self.keep(block));
            }
            Step::Flush => self.pool.flush(),
            Step::Free(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever threads do, no block has two owners, all come back, and the counts say so.
    #[test]
    fn random_use_by_many_threads_keeps_every_block_apart(
        class in select(&[Class::Bytes64, Class::Kib1, Class::Kib4][..]),
        blocks in 1_usize..300,
        magazine in 1_usize..=64,
        threads in vec(vec(step(), 0..400), 1..5),
    ) {
        let pool = Pool::builder().blocks(class, blocks).magazine(magazine).build().unwrap();
        let post = Mutex::new(Vec::new());
        let taken: u64 = thread::scope(|scope| {
            let run = |(n, steps): (usize, &Vec<Step>)| {
                let owner = Owner { pool: &pool, class, post: &post, held: Vec::new(), next: (n as u64) << 32 };
                let steps = steps.clone();
                scope.spawn(move || {
                    let mut owner = owner;
                    steps.into_iter().for_each(|step| owner.run(step));
                    for (mark, block) in &owner.held {
                        assert_stamped(block, *mark);
                    }
                    owner.next % (1 << 32)
                })
            };
            let threads: Vec<_> = threads.iter().enumerate().map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let left = post.into_inner().unwrap();
        let stats = *pool.stats().class(class).unwrap();
        prop_assert_eq!(stats.in_use, left.len() as u64);
        prop_assert!(stats.taken <= taken);
        drop(left);
        assert_all_back(&pool, class);
        prop_assert_eq!(all(&pool, class).len(), blocks);
    }
}
