//! loom models of the magazines: every interleaving of a few threads, within a bound of preemptions.
//!
//! The queues of the depot are crossbeam's and stand behind a lock here; what is tried is the protocol over them: that a
//! block has one owner, and that the memory goes after the last use of any block, once.

use std::ptr::NonNull;

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    depot::{self, DepotRef, Shape},
    rack::{Rack, Round},
};
use crate::loom_models::check;

/// The blocks, which notice when two owners use one, and that they go once.
struct Memory {
    blocks: Vec<UnsafeCell<u64>>,
    gone: Arc<AtomicUsize>,
}

// SAFETY: what the models try: loom fails them if two threads use a block at once.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        // Like unmapping: a use of any block that is not ordered before this is a race.
        for block in &mut self.blocks {
            // SAFETY: as above.
            block.with_mut(|block| unsafe { *block = u64::MAX });
        }
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

fn depot(blocks: usize, rounds: usize) -> (DepotRef, Arc<AtomicUsize>) {
    let gone = Arc::new(AtomicUsize::new(0));
    let memory = Box::new(Memory {
        blocks: (0..blocks).map(|_| UnsafeCell::new(0)).collect(),
        gone: Arc::clone(&gone),
    });
    let pointers: Vec<NonNull<u8>> = memory
        .blocks
        .iter()
        .map(|block| NonNull::from(block).cast())
        .collect();
    let shape = Shape {
        size: 8,
        rounds,
        way: 0,
    };
    (DepotRef::new(shape, pointers.into_iter(), memory), gone)
}

/// Uses a block as its only owner.
fn write(round: &Round) {
    // SAFETY: the depot's memory lives while the round does; that is what the models try.
    let cell = unsafe { round.block().cast::<UnsafeCell<u64>>().as_ref() };
    // SAFETY: as above.
    cell.with_mut(|block| unsafe { *block += 1 });
}

fn take(rack: &Rack) -> Option<Round> {
    rack.take()
        .or_else(|| rack.refill().then(|| rack.take()).flatten())
}

fn give(rack: &Rack, round: &Round) {
    let given = rack.give(round.block()) || {
        rack.make_room();
        rack.give(round.block())
    };
    if !given {
        depot::give_one(round);
    }
}

#[test]
fn loom_a_block_has_one_owner() {
    check(3, || {
        let (depot, gone) = depot(3, 1);
        let work = |depot: DepotRef| {
            let rack = Rack::new(&depot);
            let rounds: Vec<Round> = (0..2).filter_map(|_| take(&rack)).collect();
            rounds.iter().for_each(write);
            rounds.iter().for_each(|round| give(&rack, round));
        };
        let other = {
            let depot = depot.clone();
            thread::spawn(move || work(depot))
        };
        work(depot.clone());
        other.join().unwrap();
        let counts = depot.counts();
        assert_eq!((counts.outside, counts.cached), (0, 0), "a block was lost");
        drop(depot);
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_blocks_are_freed_on_another_thread() {
    check(3, || {
        let (depot, gone) = depot(2, 1);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let reader = {
            let (depot, sent) = (depot.clone(), Arc::clone(&sent));
            thread::spawn(move || {
                let rack = Rack::new(&depot);
                for _ in 0..2 {
                    let round: Option<Round> = sent.lock().unwrap().pop();
                    if let Some(round) = round {
                        write(&round);
                        give(&rack, &round);
                    }
                }
            })
        };
        let rack = Rack::new(&depot);
        for _ in 0..3 {
            if let Some(round) = take(&rack) {
                write(&round);
                sent.lock().unwrap().push(round);
            }
        }
        reader.join().unwrap();
        for round in sent.lock().unwrap().drain(..) {
            give(&rack, &round);
        }
        drop(rack);
        assert_eq!(depot.counts().outside, 0, "a block was lost");
        drop(depot);
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_the_memory_goes_with_the_last_of_pool_rack_and_block() {
    check(4, || {
        let (depot, gone) = depot(2, 1);
        let rack = Rack::new(&depot);
        let round = take(&rack).expect("nobody else takes any");
        let reader = thread::spawn(move || {
            // This thread has no rack.
            write(&round);
            depot::give_one(&round);
        });
        let closer = thread::spawn(move || {
            depot.close();
            drop(depot);
        });
        drop(rack);
        reader.join().unwrap();
        closer.join().unwrap();
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_rack_of_a_pool_that_is_gone_gives_everything_back() {
    check(3, || {
        let (depot, gone) = depot(2, 2);
        let rack = Rack::new(&depot);
        let rounds = [take(&rack), take(&rack)];
        let closer = thread::spawn(move || depot.close());
        for round in rounds.iter().flatten() {
            write(round);
            give(&rack, round);
        }
        closer.join().unwrap();
        assert!(rack.is_closed());
        drop(rack);
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_threads_that_end_at_once_merge_what_they_have() {
    check(3, || {
        let (depot, gone) = depot(3, 2);
        let work = |depot: &DepotRef| {
            let block = depot.take_one();
            let round = block.map(|block| depot.round(block));
            if let Some(round) = &round {
                write(round);
                depot::give_one(round);
            }
        };
        let other = {
            let depot = depot.clone();
            thread::spawn(move || work(&depot))
        };
        work(&depot);
        other.join().unwrap();
        let rack = Rack::new(&depot);
        let rounds: Vec<Round> = std::iter::from_fn(|| take(&rack)).collect();
        assert_eq!(rounds.len(), 3, "a block was lost");
        rounds.iter().for_each(|round| give(&rack, round));
        drop((rack, depot));
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}
