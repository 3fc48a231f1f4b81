//! Pools of blocks: what fits, what is refused, where blocks lie and when they come back.

use std::{cell::RefCell, sync::Barrier, thread};

use pipewright::memory::{Batch, Block, BuildError, Class, Objects, Pool, PoolError, Tier};
use pipewright_tests::blocks::{all, assert_all_back, assert_stamped, on_a_thread, stamp};

fn pool(class: Class, blocks: usize) -> Pool {
    Pool::builder()
        .blocks(class, blocks)
        .build()
        .expect("there is so much memory")
}

#[test]
fn a_request_gets_the_smallest_class_that_fits() {
    let pool = Pool::builder()
        .blocks(Class::Bytes64, 4)
        .blocks(Class::Kib4, 4)
        .blocks(Class::Mib2, 2)
        .build()
        .unwrap();
    let check = |len, size| {
        let block = pool.alloc(len).unwrap();
        assert_eq!(block.len(), size);
        assert_eq!(
            block.as_ptr().addr() % size,
            0,
            "{size} bytes are not aligned"
        );
        assert!(block.iter().all(|byte| *byte == 0));
    };
    check(0, 64);
    check(64, 64);
    // There is no class of 1 KiB here.
    check(65, 4096);
    check(4096, 4096);
    check(4097, 2 << 20);
    check(2 << 20, 2 << 20);
}

#[test]
fn what_a_pool_does_not_have_is_an_error_that_says_so() {
    let small = pool(Class::Bytes64, 10);
    let check = |error: PoolError, expect, text: &str| {
        assert_eq!(error, expect);
        assert_eq!(error.to_string(), text);
    };
    check(
        small.alloc(65).unwrap_err(),
        PoolError::TooLarge {
            len: 65,
            largest: 64,
        },
        "65 bytes are more than the largest block of the pool has: 64",
    );
    assert!(matches!(
        small.alloc(usize::MAX),
        Err(PoolError::TooLarge { .. })
    ));
    check(
        small.take(Class::Kib1).unwrap_err(),
        PoolError::Exhausted {
            class: Class::Kib1,
            capacity: 0,
        },
        "all 0 blocks of 1 KiB are in use, or in the magazines of other threads",
    );
    let held = all(&small, Class::Bytes64);
    assert_eq!(held.len(), 10);
    check(
        small.alloc(1).unwrap_err(),
        PoolError::Exhausted {
            class: Class::Bytes64,
            capacity: 10,
        },
        "all 10 blocks of 64 B are in use, or in the magazines of other threads",
    );
    assert!(small.batch(Class::Bytes64).is_err());
    let stats = *small.stats().class(Class::Bytes64).unwrap();
    assert_eq!((stats.in_use, stats.exhausted), (10, 3));
    drop(held);
    assert_all_back(&small, Class::Bytes64);
    assert_eq!(small.stats().class(Class::Kib1), None);
}

#[test]
fn a_builder_refuses_what_cannot_be() {
    let refused = |builder: pipewright::memory::PoolBuilder| builder.build().unwrap_err();
    assert!(matches!(refused(Pool::builder()), BuildError::Empty));
    for magazine in [0, 65] {
        let builder = Pool::builder().blocks(Class::Kib1, 10).magazine(magazine);
        assert!(matches!(refused(builder), BuildError::Magazine(n) if n == magazine));
    }
    let check = |class, count| {
        let error = refused(
            Pool::builder()
                .blocks(Class::Bytes64, 1)
                .blocks(class, count),
        );
        let fits = match class {
            Class::Mib2 => matches!(error, BuildError::Map { .. }),
            _ => matches!(error, BuildError::TooMany { .. }),
        };
        assert!(fits, "{error}");
    };
    check(Class::Kib1, usize::MAX);
    check(Class::Mib2, 1 << 31);
    assert!(matches!(Objects::new(0, || 0), Err(BuildError::Empty)));
}

#[test]
fn the_tier_that_was_got_is_reported_and_is_no_better_than_wanted() {
    for best in [Tier::Base, Tier::Transparent, Tier::Hugetlb] {
        let builder = Pool::builder()
            .blocks(Class::Bytes64, 1)
            .blocks(Class::Mib2, 4);
        let pool = builder.best_tier(best).build().unwrap();
        let stats = pool.stats();
        // Smaller than a huge page.
        assert_eq!(stats.class(Class::Bytes64).unwrap().tier, Tier::Base);
        let huge = stats.class(Class::Mib2).unwrap();
        assert!(huge.tier <= best);
        assert_eq!(
            huge.tier > Tier::Base,
            huge.huge_bytes == 8 << 20,
            "{huge:?}"
        );
        assert!(stats.to_string().contains(&huge.tier.to_string()));
    }
}

#[test]
fn blocks_in_the_magazines_of_a_thread_come_back_when_it_ends_or_flushes() {
    let pool = Pool::builder()
        .blocks(Class::Kib1, 100)
        .magazine(10)
        .build()
        .unwrap();
    let use_some = |pool: &Pool| drop((0..50).map(|_| pool.alloc(1)).collect::<Vec<_>>());
    let usable = || {
        let usable = all(&pool, Class::Kib1).len();
        pool.flush();
        usable
    };
    for flushes in [false, true] {
        let (used, end) = (Barrier::new(2), Barrier::new(2));
        let seen = thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                use_some(&pool);
                if flushes {
                    pool.flush();
                }
                used.wait();
                end.wait();
            });
            used.wait();
            let seen = (usable(), pool.stats().class(Class::Kib1).unwrap().cached);
            end.wait();
            keeper.join().unwrap();
            seen
        });
        // Two magazines at most are kept.
        let expect = if flushes { (100, 0) } else { (80, 20) };
        assert_eq!(seen, expect);
        assert_eq!(usable(), 100, "the thread has ended");
    }
    assert_all_back(&pool, Class::Kib1);
}

#[test]
fn a_thread_keeps_no_more_than_an_eighth() {
    for blocks in [1, 2, 15, 16, 100, 1000, 5000] {
        let pool = pool(Class::Bytes64, blocks);
        let (used, end) = (Barrier::new(2), Barrier::new(2));
        let usable = thread::scope(|scope| {
            scope.spawn(|| {
                drop(all(&pool, Class::Bytes64));
                used.wait();
                end.wait();
            });
            used.wait();
            let usable = all(&pool, Class::Bytes64).len();
            end.wait();
            usable
        });
        let kept = (blocks / 8).max(2).min(blocks);
        assert!(usable >= blocks - kept, "{usable} of {blocks}");
    }
}

#[test]
fn a_batch_travels_whole_and_returns_what_is_left_in_it() {
    let pool = Pool::builder()
        .blocks(Class::Kib1, 100)
        .magazine(8)
        .build()
        .unwrap();
    let other = Pool::builder().blocks(Class::Kib1, 8).build().unwrap();
    let mut batch = pool.batch(Class::Kib1).unwrap();
    assert_eq!((batch.len(), batch.capacity()), (8, 8));
    for (mark, block) in batch.iter_mut().enumerate() {
        stamp(block, mark as u64);
    }
    let batch: Batch = on_a_thread(move || {
        batch
            .iter()
            .enumerate()
            .for_each(|(mark, block)| assert_stamped(block, mark as u64));
        let last = batch.pop().unwrap();
        assert_stamped(&last, 7);
        // It goes into this thread's magazine, and comes back when the thread ends.
        drop(last);
        batch
    });
    assert_eq!(pool.stats().class(Class::Kib1).unwrap().in_use, 7);
    let mut batch = batch;
    let foreign = batch.push(other.alloc(1).unwrap()).unwrap_err();
    assert_eq!(other.stats().class(Class::Kib1).unwrap().in_use, 1);
    drop(foreign);
    batch.push(pool.alloc(1).unwrap()).unwrap();
    assert!(
        batch.push(pool.alloc(1).unwrap()).is_err(),
        "the batch is full"
    );
    let taken: Vec<Block> = batch.by_ref().take(3).collect();
    drop(batch);
    assert_eq!(pool.stats().class(Class::Kib1).unwrap().in_use, 3);
    drop(taken);
    assert_all_back(&pool, Class::Kib1);
    assert_eq!(all(&pool, Class::Kib1).len(), 100);
}

#[test]
fn a_batch_finds_what_this_thread_has_begun() {
    let pool = Pool::builder()
        .blocks(Class::Bytes64, 3)
        .magazine(3)
        .build()
        .unwrap();
    let one = pool.alloc(1).unwrap();
    assert_eq!(pool.batch(Class::Bytes64).unwrap().len(), 2);
    drop(one);
    assert_eq!(all(&pool, Class::Bytes64).len(), 3);
}

#[test]
fn blocks_outlive_their_pool_and_are_freed_anywhere() {
    let made = pool(Class::Kib4, 200);
    let mut blocks = all(&made, Class::Kib4);
    blocks
        .iter_mut()
        .enumerate()
        .for_each(|(n, block)| stamp(block, n as u64));
    drop(made);
    let check = |first: usize, blocks: &[Block]| {
        for (n, block) in blocks.iter().enumerate() {
            assert_stamped(block, (first + n) as u64);
        }
    };
    let rest = blocks.split_off(100);
    thread::scope(|scope| {
        scope.spawn(move || {
            check(100, &rest);
            drop(rest);
        });
        check(0, &blocks);
        drop(blocks);
    });
}

thread_local! {
    /// Dropped when the thread ends, before or after the thread's magazines.
    static KEPT: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn blocks_that_a_thread_keeps_until_it_ends_come_back() {
    let pool = pool(Class::Bytes64, 500);
    for first in [true, false] {
        on_a_thread(|| {
            if first {
                KEPT.with(|kept| assert!(kept.borrow().is_empty()));
            }
            let blocks = all(&pool, Class::Bytes64);
            assert_eq!(blocks.len(), 500);
            KEPT.with(|kept| kept.borrow_mut().extend(blocks));
        });
        assert_all_back(&pool, Class::Bytes64);
    }
}

#[test]
fn more_pools_than_a_thread_finds_at_once_work() {
    let pools: Vec<Pool> = (0..100).map(|_| pool(Class::Bytes64, 32)).collect();
    for round in 0..3 {
        let blocks: Vec<Block> = pools
            .iter()
            .enumerate()
            .map(|(n, pool)| {
                let mut block = pool.alloc(8).unwrap();
                stamp(&mut block, (round * 100 + n) as u64);
                block
            })
            .collect();
        for (n, block) in blocks.iter().enumerate() {
            assert_stamped(block, (round * 100 + n) as u64);
        }
    }
    pools
        .iter()
        .for_each(|pool| assert_all_back(pool, Class::Bytes64));
}
