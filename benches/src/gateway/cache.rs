//! The cache by itself: gets, sets, deletes, misses, threads, sizes, eviction.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use fastrand::Rng;
use pipewright_pipelines::gateway::cache::{Cache, sample};

use crate::{
    measure::{Case, rounds},
    table::Table,
};

/// Entries of the caches that hold many.
const MANY: usize = 100_000;
/// Room for all of those.
const ROOM: u64 = 64 << 20;
/// Entries that fit into the nearest caches of a processor.
const FEW: usize = 100;

/// A key as requests have it.
pub fn key(n: usize) -> Box<str> {
    format!(r#"["acme","subject-{n:07}","read","doc:{n:07}",{{}}]"#).into()
}

/// A cache with so many entries, and their keys.
pub fn filled(entries: usize) -> (Cache, Vec<Box<str>>) {
    let cache = Cache::new(ROOM, Duration::from_secs(3_600));
    let keys: Vec<_> = (0..entries).map(key).collect();
    let now = Instant::now();
    for key in &keys {
        cache.set(key.clone(), sample(true), 1, now);
    }
    assert_eq!(cache.len(), entries, "all of them fit");
    (cache, keys)
}

/// Which of the keys is asked for by which call: any, in an order that is the same each time.
pub fn order(of: usize, calls: usize) -> Vec<usize> {
    let mut rng = Rng::with_seed(1);
    (0..calls).map(|_| rng.usize(0..of)).collect()
}

/// Measures all of it.
pub fn tables(times: usize, calls: usize) -> Vec<Table> {
    vec![
        single(times, calls),
        sizes(times, calls),
        threads(times, calls),
    ]
}

fn hit(cache: &Cache, key: &str, now: Instant) {
    assert!(cache.get(key, 1, now).is_some());
}

fn single(times: usize, calls: usize) -> Table {
    let (few, few_keys) = filled(FEW);
    let (many, keys) = filled(MANY);
    let (other, _) = filled(FEW);
    let random = order(MANY, calls);
    let now = Instant::now();
    let fresh: Vec<_> = (MANY..MANY + calls).map(key).collect();
    let full = Cache::new(1 << 20, Duration::from_secs(3_600));
    let next = Cell::new(0);
    let set = |key: &str| other.set(key.into(), sample(true), 1, now);
    let mut cases = [
        Case::new(
            "get, warm (100 entries)",
            calls,
            || (),
            |n| hit(&few, &few_keys[n % FEW], now),
        ),
        Case::new(
            "get, cold (any of 100,000)",
            calls,
            || (),
            |n| hit(&many, &keys[random[n]], now),
        ),
        Case::new(
            "miss",
            calls,
            || (),
            |n| assert!(many.get(&fresh[n], 1, now).is_none()),
        ),
        Case::new(
            "set, new key",
            calls,
            || {
                for key in &fresh {
                    other.remove(key);
                }
            },
            |n| set(&fresh[n]),
        ),
        Case::new(
            "set, key that is there",
            calls,
            || (),
            |n| set(&few_keys[n % FEW]),
        ),
        Case::new(
            "delete",
            calls,
            || fresh.iter().for_each(|key| set(key)),
            |n| assert!(other.remove(&fresh[n])),
        ),
        Case::new(
            "set into a full cache (eviction)",
            calls,
            || (),
            |_| {
                next.set(next.get() + 1);
                full.set(key(next.get()), sample(true), 1, now);
            },
        ),
        Case::new(
            "making that key",
            calls,
            || (),
            |n| drop(std::hint::black_box(key(n))),
        ),
    ];
    let found = rounds(times, &mut cases);
    Table::of_calls("Cache, one thread", &found)
}

fn sizes(times: usize, calls: usize) -> Table {
    let all: Vec<_> = [100, 1_000, 10_000, 100_000]
        .into_iter()
        .map(|entries| (entries, filled(entries), order(entries, calls)))
        .collect();
    let now = Instant::now();
    let mut cases: Vec<_> = all
        .iter()
        .map(|(entries, (cache, keys), random)| {
            let name = format!("get, any of {entries}");
            Case::new(
                name,
                calls,
                || (),
                move |n| hit(cache, &keys[random[n]], now),
            )
        })
        .collect();
    Table::of_calls("Cache, by its size", &rounds(times, &mut cases))
}

fn threads(times: usize, calls: usize) -> Table {
    let (cache, keys) = filled(10_000);
    let random = order(keys.len(), calls);
    let now = Instant::now();
    let get = |n: usize| hit(&cache, &keys[random[n % calls]], now);
    let set = |n: usize| cache.set(keys[random[n % calls]].clone(), sample(true), 1, now);
    // Each thread begins elsewhere.
    let mut cases = Vec::new();
    for threads in [1, 2, 4, 8, 16] {
        let own = move |thread: usize| thread * 977;
        let name = format!("reads, {threads} threads");
        cases.push(Case::threads(
            name,
            threads,
            calls / threads,
            own,
            |own, n| get(*own + n),
        ));
    }
    for threads in [1, 2, 4, 8] {
        let own = move |thread: usize| thread * 977;
        let name = format!("writes, {threads} threads");
        cases.push(Case::threads(
            name,
            threads,
            calls / threads,
            own,
            |own, n| set(*own + n),
        ));
    }
    for threads in [1, 4, 8] {
        let own = move |thread: usize| thread * 977;
        let name = format!("9 reads to 1 write, {threads} threads");
        cases.push(Case::threads(
            name,
            threads,
            calls / threads,
            own,
            |own, n| match n % 10 {
                0 => set(*own + n),
                _ => get(*own + n),
            },
        ));
    }
    Table::of_calls("Cache, several threads", &rounds(times, &mut cases))
}
