//! A source that is told what is done, and goes on from there after each end: by a drain, a stop, or a panic. What panics in a stage
//! that makes letters of it is done when its letter is. What an open breaker gives back (`on_open = nack`) comes again, in the same run
//! or in the next one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use pipewright::{
    Acknowledge, Blueprint, Builder, Commit, DeadLetter, Emit, Flow, NoInput, Rewind, RunError,
    pipeline,
};
use pipewright_tests::oracle::{CHAOS, Random, strikes};

use super::{Fault, Sum, World, guard, guards, pause};

/// Items of all runs of a round.
const ITEMS: u64 = 1_000;

#[derive(Debug)]
pub struct Kept {
    world: Arc<World>,
    /// Where the next run begins.
    position: AtomicU64,
    commits: AtomicU64,
    /// Items before a position that had no end when it was kept.
    early: AtomicU64,
    /// Times that the source went back.
    rewinds: AtomicU64,
}

pub struct Numbers {
    next: u64,
    env: Arc<Kept>,
}

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Committer;
    type Error = String;

    fn committer(&mut self) -> Result<Committer, String> {
        Ok(Committer(Arc::clone(&self.env)))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl Rewind for Numbers {
    fn rewind(&mut self, position: u64) -> Result<(), String> {
        let kept = self.env.position.load(SeqCst);
        if position >= self.next || position < kept {
            return Err(format!("{position} after {}, kept {kept}", self.next));
        }
        self.next = position;
        self.env.rewinds.fetch_add(1, SeqCst);
        Ok(())
    }
}

pub struct Committer(Arc<Kept>);

impl Commit<u64> for Committer {
    type Error = String;

    fn commit(&mut self, position: u64) -> Result<(), String> {
        let Kept {
            world,
            position: kept,
            commits,
            early,
            ..
        } = &*self.0;
        let before = kept.swap(position, SeqCst);
        let missing = (before..position).filter(|n| !world.ends.has_ended(*n));
        early.fetch_add(missing.count() as u64, SeqCst);
        commits.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn open(env: &Arc<Kept>) -> Numbers {
    Numbers {
        next: env.position.load(SeqCst),
        env: Arc::clone(env),
    }
}

fn give(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
    if from.next == ITEMS {
        return Flow::Done;
    }
    out.send(from.next);
    from.next += 1;
    Flow::More
}

/// Takes an item, which panics now and then when it comes for the first time.
fn take(n: u64, last: &mut Option<u64>, env: &Kept) {
    env.world.may_panic_once(10, n);
    let late = last.is_some_and(|last| last >= n);
    env.world.disordered.fetch_add(late.into(), SeqCst);
    *last = Some(n);
    env.world.ends.end(n);
}

#[pipeline(env = Arc<Kept>)]
mod from_where_it_was {
    use super::*;

    #[source(state = super::open, acks, batch = 32)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        give(from, out)
    }

    #[stage(from = numbers)]
    pub fn enter(n: u64, env: &Arc<Kept>) -> Option<u64> {
        env.world.filtered(n)
    }

    /// Panics with some items, always.
    #[stage(from = enter, on_panic = dead_letter, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub fn ask(n: u64, env: &Arc<Kept>) -> Result<u64, Fault> {
        if strikes(env.world.seed, 11, n, 97) {
            std::panic::panic_any(CHAOS);
        }
        env.world.ask(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, last: &mut Option<u64>, env: &Arc<Kept>) {
        take(n, last, env);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Kept>) {
        env.world.ends.end(letter.item);
    }
}

#[pipeline(env = Arc<Kept>)]
mod waiting {
    use super::*;

    #[source(state = super::open, acks, batch = 32)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        give(from, out)
    }

    #[stage(from = numbers, in_flight = 16, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub async fn ask(n: u64, env: &Arc<Kept>) -> Result<u64, Fault> {
        env.world.may_panic_once(12, n);
        env.world.waits(n).await;
        env.world.ask(n)
    }

    #[stage(from = ask, in_flight = 8)]
    pub async fn enter(n: u64, env: &Arc<Kept>) -> Option<u64> {
        pipewright_tests::turns(n % 2).await;
        env.world.filtered(n)
    }

    #[sink(from = enter)]
    pub fn last(n: u64, last: &mut Option<u64>, env: &Arc<Kept>) {
        take(n, last, env);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Kept>) {
        env.world.ends.end(letter.item);
    }
}

#[pipeline(env = Arc<Kept>)]
mod given_back {
    use super::*;

    #[source(state = super::open, acks, batch = 32)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        give(from, out)
    }

    #[stage(from = numbers)]
    pub fn enter(n: u64, env: &Arc<Kept>) -> Option<u64> {
        env.world.filtered(n)
    }

    #[stage(from = enter, on_panic = dead_letter, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms", on_open = nack
    ))]
    pub fn ask(n: u64, env: &Arc<Kept>) -> Result<u64, Fault> {
        if strikes(env.world.seed, 11, n, 97) {
            std::panic::panic_any(CHAOS);
        }
        env.world.ask(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, last: &mut Option<u64>, env: &Arc<Kept>) {
        take(n, last, env);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Kept>) {
        env.world.ends.end(letter.item);
    }
}

#[pipeline(env = Arc<Kept>)]
mod given_back_waiting {
    use super::*;

    #[source(state = super::open, acks, batch = 32)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        give(from, out)
    }

    #[stage(from = numbers, in_flight = 16, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms", on_open = nack
    ))]
    pub async fn ask(n: u64, env: &Arc<Kept>) -> Result<u64, Fault> {
        env.world.may_panic_once(12, n);
        env.world.waits(n).await;
        env.world.ask(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, last: &mut Option<u64>, env: &Arc<Kept>) {
        take(n, last, env);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Kept>) {
        env.world.ends.end(letter.item);
    }
}

pub(super) fn round(seed: u64, sum: &mut Sum) {
    drive(from_where_it_was::pipeline, 4_000, seed, sum);
    drive(waiting::pipeline, 4_000, seed, sum);
    // Long enough for a breaker to try again, and the source to go back, within a run.
    drive(given_back::pipeline, 60_000, seed, sum);
    drive(given_back_waiting::pipeline, 60_000, seed, sum);
}

/// Runs again and again until all is done; changes the numbers of guards, and ends each run at any time, at the latest so many
/// microseconds after that.
fn drive<P>(pipeline: fn() -> Builder<P>, most_us: u64, seed: u64, sum: &mut Sum)
where
    P: Blueprint<Env = Arc<Kept>, Input = NoInput>,
{
    let mut random = Random::new(seed);
    let env = Arc::new(Kept {
        world: World::new(seed, ITEMS),
        position: AtomicU64::new(0),
        commits: AtomicU64::new(0),
        early: AtomicU64::new(0),
        rewinds: AtomicU64::new(0),
    });
    let (mut runs, mut broke_off, mut returned) = (0, false, 0);
    while env.position.load(SeqCst) < ITEMS {
        runs += 1;
        assert!(runs < 10_000, "it does not get on");
        let began = env.position.load(SeqCst);
        let workers = 1 + random.below(3) as usize;
        let run = pipeline().workers(workers).start(Arc::clone(&env)).unwrap();
        for _ in 0..random.below(4) {
            let text = format!("(stages: {{ {} }})", guards(&mut random, true));
            run.retune("by the seed", &text).unwrap();
            sum.retuned += 1;
            pause(&mut random, 2_000);
        }
        pause(&mut random, most_us);
        let stops = random.below(4) == 0;
        let ended = if stops { run.stop() } else { run.drain() };
        let failed = ended.is_err();
        let report = ended.unwrap_or_else(|failed| {
            let is_told =
                matches!(&failed.error, RunError::Panicked { message, .. } if message == CHAOS);
            assert!(is_told, "{failed}");
            failed.report
        });
        broke_off |= stops || failed;
        let (ledger, position) = (report.ledger(), env.position.load(SeqCst));
        assert!(ledger.is_balanced() && ledger.in_flight == 0, "{report}");
        let guard = guard(&report, "ask");
        assert_eq!(ledger.dropped_by.returned, guard.returned, "{report}");
        if !stops && !failed {
            assert_eq!(ledger.dropped, guard.returned, "{report}");
            let done = position - began;
            // What is given back, and what was behind it, is received once more.
            let again = ledger.received.checked_sub(done);
            assert!(
                again.is_some_and(|again| again == 0 || guard.returned > 0),
                "{report}"
            );
        }
        returned += guard.returned;
        sum.runs += 1;
        sum.ended += u64::from(failed);
        sum.items += ledger.received;
        sum.delivered += report.metrics().get("last").unwrap().sent;
        sum.panicked += ledger.panicked + report.metrics().get("ask").unwrap().panicked;
        sum.failed += ledger.failed;
        sum.dropped += ledger.dropped;
        sum.retried += guard.retried;
        sum.opened += guard.breaker.changes;
        sum.add_futures(&report);
        assert_eq!(env.world.waiting.load(SeqCst), 0, "a future is left");
    }
    assert_eq!(env.early.load(SeqCst), 0, "kept before it was done");
    // Whenever the source goes back, what comes next is behind what came last, and at no other time.
    let (disordered, rewinds) = (&env.world.disordered, env.rewinds.load(SeqCst));
    assert!(disordered.load(SeqCst) <= rewinds);
    let (ended, twice) = env.world.ends.counts();
    assert_eq!(ended, ITEMS, "lost");
    // What came twice was on its way when a run broke off, or behind what was given back.
    assert!(
        broke_off || returned > 0 || twice == 0,
        "{twice} came twice without need"
    );
    sum.returned += returned;
    sum.rewinds += rewinds;
    sum.twice += twice;
    sum.commits += env.commits.load(SeqCst);
}
