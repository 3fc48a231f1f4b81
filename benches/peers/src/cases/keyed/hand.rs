//! By hand: two threads that both look at all items and take those of their own half of the keys.

use std::{collections::HashMap, thread};

use super::{Items, Task, stepped};
use crate::harness::{Contender, threads::joined};

/// Each of two threads goes through all items and steps the keys of its half.
fn sharded(items: &Items, shard: impl Fn(&[u32], u32) -> u64 + Sync) -> u64 {
    thread::scope(|scope| {
        let other = scope.spawn(|| shard(items, 1));
        shard(items, 0).wrapping_add(joined(other))
    })
}

/// States in a hash map, as for keys of any kind, that never has to grow.
fn in_a_map(items: &[u32], half: u32, keys: usize) -> u64 {
    let mut states: HashMap<u32, u64, foldhash::fast::FixedState> =
        HashMap::with_capacity_and_hasher(keys.div_ceil(2), foldhash::fast::FixedState::default());
    let mine = items.iter().zip(0..).filter(|(key, _)| *key % 2 == half);
    mine.fold(0, |sum: u64, (key, number)| {
        let state = states.entry(*key).or_default();
        *state = stepped(*state, number);
        sum.wrapping_add(*state)
    })
}

/// States in a table that the key is the index of.
fn in_a_table(items: &[u32], half: u32, keys: usize) -> u64 {
    let mut states = vec![0; keys.div_ceil(2)];
    let mine = items.iter().zip(0..).filter(|(key, _)| *key % 2 == half);
    mine.fold(0, |sum: u64, (key, number)| {
        let state = &mut states[*key as usize / 2];
        *state = stepped(*state, number);
        sum.wrapping_add(*state)
    })
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    vec![
        Contender::limit(
            "2 threads, sharded by hand, hash maps",
            task.work(|items, keys| sharded(&items, |items, half| in_a_map(items, half, keys))),
        ),
        Contender::limit(
            "2 threads, sharded by hand, dense tables",
            task.work(|items, keys| sharded(&items, |items, half| in_a_table(items, half, keys))),
        ),
    ]
}
