//! Three times as much as a pipeline can do, in three priorities: where items may be lost, those of the highest never are; where
//! they may not, the sources wait.
//!
//! A tenth of the items by default; `PIPEWRIGHT_FULL=1`, as `cargo xtask chaos` sets it, has all of them.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use pipewright::{Acknowledge, Commit, Emit, Flow, Priority, pipeline};
use pipewright_tests::{faults, work};

const LANES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// An item: its lane, and its number there.
type Item = (usize, u64);

/// What came to the sink, by lane: how many, which, how many of them twice, and how many out of the order of their lane.
#[derive(Debug, Default)]
pub struct Seen {
    items: [u64; 3],
    got: [Vec<bool>; 3],
    twice: u64,
    next: [u64; 3],
    disordered: u64,
}

impl Seen {
    fn see(&mut self, (lane, n): Item) {
        self.items[lane] += 1;
        let (got, at) = (&mut self.got[lane], n as usize);
        got.resize(got.len().max(at + 1), false);
        self.twice += u64::from(std::mem::replace(&mut got[at], true));
        self.disordered += u64::from(n < self.next[lane]);
        self.next[lane] = n + 1;
    }
}

/// Items that are done.
type Done = Arc<AtomicU64>;

#[pipeline(env = Done)]
mod best_effort {
    use super::*;

    #[sink(from = input, queue = "4Ki", overflow = shed_lowest, order = any)]
    pub fn last(item: Item, seen: &mut Seen, env: &Done) {
        seen.see((0..4).fold(item, |item, _| work(item)));
        env.fetch_add(1, SeqCst);
    }
}

/// Items that come at once at most, where the sender did not get a cpu for a while: three times what the input holds.
const BURST: u64 = 3 * 4096;

/// The lane of an item: a sixth is high, a third normal, and half of them low.
fn lane_of(seed: u64, n: u64) -> usize {
    let mixed = (n ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    [0, 1, 1, 2, 2, 2][(mixed % 6) as usize]
}

#[test]
fn c19_of_three_times_the_capacity_the_highest_priority_loses_nothing_while_the_lowest_does() {
    let seed = std::env::var("PIPEWRIGHT_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| RandomState::new().hash_one(()));
    println!("PIPEWRIGHT_SEED={seed}");
    let items = faults(3_000_000);
    let done = Done::default();
    let run = best_effort::pipeline()
        .workers(1)
        .start(Arc::clone(&done))
        .unwrap();
    let mut sent = [0; 3];
    let (mut credit, mut known) = (BURST, 0);
    for n in 0..items {
        // For each item that is done three come, whatever the machine can do.
        while credit == 0 {
            std::thread::yield_now();
            let now = done.load(SeqCst);
            credit = BURST.min(3 * (now - known));
            known = now;
        }
        credit -= 1;
        let lane = lane_of(seed, n);
        run.send_at(LANES[lane], (lane, sent[lane])).unwrap();
        sent[lane] += 1;
    }
    let mut report = run.drain().unwrap();
    let seen = report.take_state::<best_effort::last>().unwrap();
    let lost: Vec<u64> = (0..3).map(|lane| sent[lane] - seen.items[lane]).collect();
    println!(
        "C19: {items} items at three times the capacity, best effort: lost of high, normal, low: {lost:?} of {sent:?}"
    );
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!(
        ledger.dropped_by.overflow,
        lost.iter().sum::<u64>(),
        "{report}"
    );
    assert_eq!(
        (ledger.dropped, ledger.received),
        (ledger.dropped_by.overflow, items)
    );
    assert_eq!((lost[0], seen.twice), (0, 0), "{report}");
    assert!(lost[2] > items / 5, "{report}");
}

/// What the sources gave, what came to the sink, how far the sources were ahead at most, and what was committed.
#[derive(Debug, Default)]
pub struct World {
    items: u64,
    given: AtomicU64,
    done: AtomicU64,
    ahead: AtomicU64,
    committed: [AtomicU64; 3],
}

/// A source that always has more, until it has given all.
pub struct Numbers {
    lane: usize,
    next: u64,
    world: Arc<World>,
}

pub struct Keeper(usize, Arc<World>);

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Keeper;
    type Error = String;

    fn committer(&mut self) -> Result<Keeper, String> {
        Ok(Keeper(self.lane, Arc::clone(&self.world)))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl Commit<u64> for Keeper {
    type Error = String;

    fn commit(&mut self, position: u64) -> Result<(), String> {
        self.1.committed[self.0].store(position, SeqCst);
        Ok(())
    }
}

fn begin<const LANE: usize>(world: &Arc<World>) -> Numbers {
    Numbers {
        lane: LANE,
        next: 0,
        world: Arc::clone(world),
    }
}

/// Items of a pull at most.
const PULL: u64 = 32;

fn give(from: &mut Numbers, out: &mut Emit<Item>) -> Flow {
    if from.next == from.world.items {
        return Flow::Done;
    }
    out.send((from.lane, from.next));
    from.next += 1;
    from.world.given.fetch_add(1, SeqCst);
    Flow::More
}

#[pipeline(env = Arc<World>)]
mod at_least_once {
    use super::*;

    #[source(state = begin::<0>, acks, batch = 32, priority = high)]
    pub fn high(from: &mut Numbers, out: &mut Emit<Item>) -> Flow {
        give(from, out)
    }

    #[source(state = begin::<1>, acks, batch = 32)]
    pub fn normal(from: &mut Numbers, out: &mut Emit<Item>) -> Flow {
        give(from, out)
    }

    #[source(state = begin::<2>, acks, batch = 32, priority = low)]
    pub fn low(from: &mut Numbers, out: &mut Emit<Item>) -> Flow {
        give(from, out)
    }

    #[sink(from = [high, normal, low])]
    pub fn last(item: Item, seen: &mut Seen, env: &Arc<World>) {
        seen.see(work(item));
        let done = env.done.fetch_add(1, SeqCst);
        let ahead = env.given.load(SeqCst).saturating_sub(done);
        env.ahead.fetch_max(ahead, SeqCst);
    }
}

#[test]
fn c19_sources_that_are_acknowledged_wait_and_nothing_is_shed() {
    let items = faults(1_000_000);
    let world = Arc::new(World {
        items,
        ..World::default()
    });
    let run = at_least_once::pipeline().workers(2);
    let mut report = run.run(Arc::clone(&world)).unwrap();
    let seen = report.take_state::<at_least_once::last>().unwrap();
    let ahead = world.ahead.load(SeqCst);
    println!(
        "C19: {} items of three sources, at least once: none lost, the sources were at most {ahead} items ahead",
        3 * items
    );
    let ledger = report.ledger();
    assert!(ledger.is_balanced() && ledger.dropped == 0, "{report}");
    assert_eq!((seen.items, seen.twice), ([items; 3], 0), "{report}");
    assert_eq!(seen.disordered, 0, "{report}");
    let committed = world
        .committed
        .each_ref()
        .map(|position| position.load(SeqCst));
    assert_eq!(committed, [items; 3], "{report}");
    // There are eight tickets for two workers.
    assert!(ahead <= 8 * PULL + 1, "{ahead} items ahead");
}

#[pipeline(env = Done)]
mod shedding {
    use super::*;

    #[sink(from = input, queue = "4Ki", shed(target = "100us", interval = "1ms"), order = any)]
    pub fn last(item: Item, seen: &mut Seen, env: &Done) {
        seen.see((0..4).fold(item, |item, _| work(item)));
        env.fetch_add(1, SeqCst);
    }
}

#[test]
fn what_waits_too_long_is_shed_from_the_lowest_lane_on() {
    let items = faults(1_000_000);
    let done = Done::default();
    let run = shedding::pipeline()
        .workers(1)
        .start(Arc::clone(&done))
        .unwrap();
    let mut sent = [0; 3];
    let (mut credit, mut known) = (BURST, 0);
    for n in 0..items {
        while credit == 0 {
            std::thread::yield_now();
            let now = done.load(SeqCst);
            // Of what is shed nothing is done.
            let least = u64::from(run.input().is_empty());
            credit = (3 * (now - known)).clamp(least, BURST);
            known = now;
        }
        credit -= 1;
        let lane = lane_of(7, n);
        run.send_at(LANES[lane], (lane, sent[lane])).unwrap();
        sent[lane] += 1;
    }
    let mut report = run.drain().unwrap();
    let seen = report.take_state::<shedding::last>().unwrap();
    let lost: Vec<u64> = (0..3).map(|lane| sent[lane] - seen.items[lane]).collect();
    println!("shed of high, normal, low: {lost:?} of {sent:?}");
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!(ledger.dropped_by.shed, lost.iter().sum::<u64>(), "{report}");
    assert_eq!(
        (ledger.dropped, seen.twice),
        (ledger.dropped_by.shed, 0),
        "{report}"
    );
    // Whatever the machine does besides: the lanes one after the other.
    let share = |lane: usize| lost[lane] * 100 / sent[lane];
    let shares = [share(0), share(1), share(2)];
    assert!(shares[0] < 20 && shares[2] > 50, "{shares:?} %: {report}");
    assert!(shares.is_sorted(), "{shares:?} %: {report}");
}

/// Keys, which are shed or kept as a whole.
const KEYS: u64 = 64;

/// Items that are done, by key.
type PerKey = Arc<Vec<AtomicU64>>;

#[pipeline(env = PerKey)]
mod by_key {
    use super::*;

    #[sink(
        from = input,
        queue = "4Ki",
        shed(target = "100us", interval = "1ms"),
        key = |n| n % KEYS
    )]
    pub fn last(n: u64, _seen: &mut u64, env: &PerKey) {
        (0..4).fold(n, |n, _| work(n));
        env[(n % KEYS) as usize].fetch_add(1, SeqCst);
    }
}

#[test]
fn keys_are_shed_or_kept_as_a_whole() {
    let items = faults(1_000_000);
    let done: PerKey = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let by_key = || done.iter().map(|done| done.load(SeqCst));
    let run = by_key::pipeline()
        .workers(1)
        .start(Arc::clone(&done))
        .unwrap();
    let (mut credit, mut known) = (BURST, 0);
    for n in 0..items {
        while credit == 0 {
            std::thread::yield_now();
            let now = by_key().sum::<u64>();
            let least = u64::from(run.input().is_empty());
            credit = (3 * (now - known)).clamp(least, BURST);
            known = now;
        }
        credit -= 1;
        run.send(n).unwrap();
    }
    let report = run.drain().unwrap();
    let shed = report.ledger().dropped_by.shed;
    assert!(
        report.ledger().is_balanced() && shed > items / 10,
        "{report}"
    );
    // By chance, each key would lose as much as any other.
    let (least, most) = (by_key().min(), by_key().max());
    let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
    assert!(
        most > least * 3 / 2,
        "{least} to {most} of {}: {report}",
        items / KEYS
    );
}
