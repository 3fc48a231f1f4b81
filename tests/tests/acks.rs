//! Sources that are acknowledged: what is committed is done, wherever its items went, and at the end all of it is committed.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst},
};

use pipewright::{
    Acknowledge, Batch, Builder, Commit, DeadLetter, Emit, Flow, Panicked, RunError, pipeline,
};

const ITEMS: u64 = 60_000;

/// What the sinks of a test have got, and what was committed.
pub struct World {
    /// How often each item has come to a sink.
    got: Vec<AtomicU8>,
    /// How often it must have come when it is done.
    due: fn(u64) -> u8,
    committed: AtomicU64,
    commits: AtomicU64,
    refuse: AtomicBool,
    /// Does an item panic?
    panics: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

impl World {
    fn new(due: fn(u64) -> u8) -> Arc<Self> {
        Arc::new(Self {
            got: (0..ITEMS).map(|_| AtomicU8::new(0)).collect(),
            due,
            committed: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            refuse: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            wrong: Mutex::default(),
        })
    }

    fn got(&self, n: u64) {
        self.got[n as usize].fetch_add(1, SeqCst);
    }

    /// The committed position, after a look whether everything was in order.
    #[track_caller]
    fn committed(&self) -> u64 {
        assert_eq!(*self.wrong.lock().unwrap(), Vec::<String>::new());
        self.committed.load(SeqCst)
    }

    fn tell(&self, wrong: String) {
        self.wrong.lock().unwrap().push(wrong);
    }
}

/// All numbers, some at a time.
pub struct Numbers {
    next: u64,
    world: Arc<World>,
}

pub struct Keeper(Arc<World>);

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Keeper;
    type Error = String;

    fn committer(&mut self) -> Result<Keeper, String> {
        Ok(Keeper(Arc::clone(&self.world)))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl Commit<u64> for Keeper {
    type Error = String;

    fn commit(&mut self, position: u64) -> Result<(), String> {
        let world = &*self.0;
        if world.refuse.load(SeqCst) {
            return Err("the disk is full".to_owned());
        }
        let before = world.committed.swap(position, SeqCst);
        if before > position {
            world.tell(format!("{position} was committed after {before}"));
        }
        for n in before..position {
            let (got, due) = (world.got[n as usize].load(SeqCst), (world.due)(n));
            if got != due {
                world.tell(format!(
                    "{position} was committed when {n} had come {got} times of {due}"
                ));
            }
        }
        world.commits.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn begin(world: &Arc<World>) -> Numbers {
    Numbers {
        next: 0,
        world: Arc::clone(world),
    }
}

/// Sends up to seven numbers, and rests now and then.
fn send(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
    for _ in 0..from.next % 7 + 1 {
        if from.next == ITEMS {
            return Flow::Done;
        }
        out.send(from.next);
        from.next += 1;
    }
    if from.next % 97 == 0 {
        Flow::Idle
    } else {
        Flow::More
    }
}

/// Work of different length.
fn work(n: u64) -> u64 {
    let rounds = if n % 501 == 0 { 20_000 } else { n % 64 };
    for round in 0..rounds {
        std::hint::black_box(round);
    }
    n
}

#[pipeline(env = Arc<World>)]
mod linear {
    use super::*;

    #[source(state = begin, acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers)]
    pub fn odd(n: u64) -> Option<u64> {
        (work(n) % 2 == 1).then_some(n)
    }

    #[stage(from = odd)]
    pub fn twice(n: u64) -> impl Iterator<Item = u64> {
        [n, n].into_iter()
    }

    #[sink(from = twice)]
    pub fn store(n: u64, env: &Arc<World>) {
        env.got(work(n));
    }
}

#[pipeline(env = Arc<World>)]
mod gates {
    use super::*;

    #[source(state = begin, acks, batch = 64)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers)]
    pub fn first(n: u64) -> u64 {
        work(n)
    }

    #[stage(from = first)]
    pub fn count(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        n
    }

    #[stage(from = count)]
    pub fn second(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = second, order = any)]
    pub fn store(n: u64, seen: &mut u64, env: &Arc<World>) {
        *seen += 1;
        env.got(n);
    }
}

#[pipeline(env = Arc<World>)]
mod keyed {
    use super::*;

    #[source(state = begin, acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers, key = |n: &u64| n % 101)]
    pub fn by_key(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        work(n)
    }

    #[sink(from = by_key, key = |n: &u64| n % 13)]
    pub fn store(n: u64, seen: &mut u64, env: &Arc<World>) {
        *seen += 1;
        env.got(n);
    }
}

/// Batches that are never full and linger for long.
#[pipeline(env = Arc<World>)]
mod batched {
    use super::*;

    #[source(state = begin, acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers, batch = 100_000, linger = "10s")]
    pub fn gather(numbers: &mut Batch<u64>) {
        numbers.retain(|n| n % 3 != 0);
    }

    #[stage(from = gather, prefetch = |n: &u64| n)]
    pub fn ahead(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = ahead, batch = 100_000, linger = "10s")]
    pub fn store(numbers: &[u64], seen: &mut u64, env: &Arc<World>) {
        *seen += numbers.len() as u64;
        numbers.iter().for_each(|n| env.got(*n));
    }
}

/// Several readers of one output, ways of different lengths that meet again, and errors.
#[pipeline(env = Arc<World>)]
mod forked {
    use super::*;

    #[source(state = begin, acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    pub enum Way {
        Short(u64),
        Long(u64),
    }

    #[stage(from = numbers)]
    pub fn split(n: u64) -> Way {
        if n % 2 == 0 {
            Way::Short(n)
        } else {
            Way::Long(n)
        }
    }

    #[stage(from = split::Long)]
    pub fn through_a_gate(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        work(n)
    }

    #[stage(from = [split::Short, through_a_gate])]
    pub fn check(n: u64) -> Result<u64, u64> {
        if work(n) % 5 == 0 { Err(n) } else { Ok(n) }
    }

    #[sink(from = check)]
    pub fn store(n: u64, seen: &mut u64, env: &Arc<World>) {
        *seen += 1;
        env.got(n);
    }

    #[sink(from = check, on_error = drop)]
    pub fn copy(n: u64, env: &Arc<World>) -> Result<(), ()> {
        env.got(work(n));
        Err(())
    }

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<u64, u64>, seen: &mut u64, env: &Arc<World>) {
        *seen += 1;
        env.got(letter.item);
    }
}

/// Runs a pipeline in several ways; in each, nothing is committed too early, and all at the end.
macro_rules! check {
    ($module:ident, $due:expr) => {{
        let ways: [fn(Builder<$module::Pipeline>) -> Builder<$module::Pipeline>; 5] = [
            |builder| builder.workers(1),
            |builder| builder.workers(2),
            |builder| builder.workers(2).in_parallel(),
            |builder| builder.workers(3).in_parallel().always_divide(),
            |builder| builder.workers(2).always_divide(),
        ];
        for (at, way) in ways.into_iter().enumerate() {
            println!("way {at}");
            let world = World::new($due);
            let report = way($module::pipeline())
                .start(Arc::clone(&world))
                .unwrap()
                .wait()
                .unwrap();
            assert!(report.ledger().is_balanced());
            assert_eq!(world.committed(), ITEMS);
            assert!(world.commits.load(SeqCst) >= 1);
        }
    }};
}

#[test]
fn what_is_filtered_or_becomes_many_is_done_when_its_last_item_is() {
    check!(linear, |n| if n % 2 == 1 { 2 } else { 0 });
}

#[test]
fn what_waits_at_a_gate_is_not_done() {
    check!(gates, |_| 1);
}

#[test]
fn the_parts_of_a_batch_that_is_divided_by_key_are_all_done() {
    check!(keyed, |_| 1);
}

#[test]
fn what_waits_in_a_batch_is_not_done_and_does_not_wait_for_long() {
    check!(batched, |n| u8::from(n % 3 != 0));
}

#[test]
fn every_reader_of_an_item_must_be_done_with_it() {
    check!(forked, |n| if n % 5 == 0 { 1 } else { 2 });
}

/// What a breaker diverts is done when its way ends, and what falls back where the others go.
#[pipeline(env = Arc<World>)]
pub mod diverted {
    use super::*;

    #[source(state = begin, acks, batch = 50)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers, on_panic = stop, breaker(consecutive = 20, open = "10ms", ramp = "0s", probes = 1, on_open = divert))]
    pub fn ask(n: u64) -> Result<u64, String> {
        if n % 1_000 < 100 {
            Err(n.to_string())
        } else {
            Ok(n)
        }
    }

    #[stage(from = ask::Diverted, on_panic = stop)]
    pub fn apart(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = [ask, apart], order = any, on_panic = stop)]
    pub fn store(n: u64, env: &Arc<World>) {
        env.got(n);
    }

    #[sink(from = ask::Err, order = any, on_panic = stop)]
    pub fn reject(n: String, env: &Arc<World>) {
        env.got(n.parse().unwrap());
    }
}

#[test]
fn what_a_breaker_diverts_is_done_at_the_end_of_its_way() {
    check!(diverted, |_| 1);
}

/// What panics is done when its error is.
#[pipeline(env = Arc<World>)]
pub mod letters {
    use super::*;

    #[source(state = begin, acks, batch = 50)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers, on_panic = dead_letter)]
    pub fn ask(n: u64) -> Result<u64, Panicked> {
        assert!(n % 5_000 != 77, "{n}");
        Ok(work(n))
    }

    #[sink(from = ask, order = any, on_panic = stop)]
    pub fn store(n: u64, env: &Arc<World>) {
        env.got(n);
    }

    #[sink(from = ask::Err, order = any, on_panic = stop)]
    pub fn reject(letter: DeadLetter<Panicked, u64>, env: &Arc<World>) {
        env.got(letter.item);
    }
}

#[test]
fn an_item_that_panics_and_leaves_as_an_error_is_done_when_that_is() {
    check!(letters, |_| 1);
}

/// Something goes wrong with one item.
#[pipeline(env = Arc<World>)]
mod failing {
    use super::*;

    #[source(state = begin, acks, batch = 100)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        send(from, out)
    }

    #[stage(from = numbers)]
    pub fn panics(n: u64, env: &Arc<World>) -> u64 {
        assert!(
            n != 41_000 || !env.panics.load(SeqCst),
            "there is a bug for 41000"
        );
        n
    }

    #[stage(from = panics, on_error = stop)]
    pub fn fails(n: u64) -> Result<u64, String> {
        if n == 47_000 {
            Err("no 47000".to_owned())
        } else {
            Ok(n)
        }
    }

    #[sink(from = fails)]
    pub fn store(n: u64, env: &Arc<World>) {
        env.got(work(n));
    }
}

#[test]
fn an_item_that_panics_stops_the_run_and_comes_again() {
    for workers in [1, 2] {
        let world = World::new(|_| 1);
        world.panics.store(true, SeqCst);
        let failed = failing::pipeline()
            .workers(workers)
            .start(Arc::clone(&world))
            .unwrap()
            .wait()
            .unwrap_err();
        assert!(
            matches!(
                &failed.error,
                RunError::Panicked {
                    stage: "panics",
                    ..
                }
            ),
            "{}",
            failed.error
        );
        assert!(world.committed() <= 41_000, "{}", world.committed());
    }
}

#[test]
fn an_error_that_stops_the_run_is_not_acknowledged() {
    for workers in [1, 2] {
        let world = World::new(|_| 1);
        let builder = failing::pipeline().workers(workers);
        let run = builder.start(Arc::clone(&world)).unwrap();
        let failed = run.wait().unwrap_err();
        assert!(
            matches!(&failed.error, RunError::Failed { stage: "fails", .. }),
            "{}",
            failed.error
        );
        assert!(world.committed() <= 47_000, "{}", world.committed());
    }
}

#[test]
fn a_run_that_is_stopped_has_committed_only_what_is_done() {
    for workers in [1, 2] {
        let world = World::new(|_| 1);
        let run = gates::pipeline()
            .workers(workers)
            .start(Arc::clone(&world))
            .unwrap();
        while world.got[100].load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        let report = run.stop().unwrap();
        assert!(report.ledger().is_balanced());
        assert!(world.committed() <= ITEMS);
    }
}

#[test]
fn a_drained_run_has_committed_what_it_took() {
    let world = World::new(|_| 1);
    let run = gates::pipeline()
        .workers(2)
        .start(Arc::clone(&world))
        .unwrap();
    while world.got[100].load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let report = run.drain().unwrap();
    let sent = report.metrics().stage::<gates::numbers>().sent;
    assert_eq!(world.committed(), sent);
}

#[test]
fn a_tuning_file_cannot_let_a_run_go_on_behind_a_panic() {
    let tuned = |on_panic: &str| {
        let text = format!("( stages: {{ \"count\": (on_panic: {on_panic}) }} )");
        gates::pipeline().tuning("fast.tuning.ron", &text).map(drop)
    };
    let refused = tuned("keep").unwrap_err().to_string();
    assert!(
        refused.contains(
            "`gates` has a source with `acks`, and an item that panics in `count` would be lost"
        ),
        "{refused}"
    );
    tuned("stop").unwrap();
}

#[test]
fn a_commit_that_fails_stops_the_run() {
    let world = World::new(|_| 1);
    world.refuse.store(true, SeqCst);
    let failed = gates::pipeline()
        .start(Arc::clone(&world))
        .unwrap()
        .wait()
        .unwrap_err();
    let text = failed.error.to_string();
    assert_eq!(
        text,
        "what is done of `numbers` could not be committed: the disk is full"
    );
    assert_eq!(world.committed(), 0);
}
