//! A source that is told what is done, and goes on from there after each end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use pipewright::{Acknowledge, Commit, DeadLetter, Emit, Flow, pipeline};
use pipewright_tests::oracle::Random;

use super::{Fault, Sum, World, pause};

/// Items of all runs of a round.
const ITEMS: u64 = 2_000;

#[derive(Debug)]
pub struct Kept {
    world: Arc<World>,
    /// Where the next run begins.
    position: AtomicU64,
    commits: AtomicU64,
    /// Items before a position that had no end when it was kept.
    early: AtomicU64,
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

pub struct Committer(Arc<Kept>);

impl Commit<u64> for Committer {
    type Error = String;

    fn commit(&mut self, position: u64) -> Result<(), String> {
        let Kept {
            world,
            position: kept,
            commits,
            early,
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

#[pipeline(env = Arc<Kept>)]
mod from_where_it_was {
    use super::*;

    #[source(state = super::open, acks, batch = 32)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        if from.next == ITEMS {
            return Flow::Done;
        }
        out.send(from.next);
        from.next += 1;
        Flow::More
    }

    #[stage(from = numbers)]
    pub fn enter(n: u64, env: &Arc<Kept>) -> Option<u64> {
        env.world.filtered(n)
    }

    #[stage(from = enter, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub fn ask(n: u64, env: &Arc<Kept>) -> Result<u64, Fault> {
        env.world.ask(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, last: &mut Option<u64>, env: &Arc<Kept>) {
        let late = last.is_some_and(|last| last >= n);
        env.world.disordered.fetch_add(late.into(), SeqCst);
        *last = Some(n);
        env.world.ends.end(n);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Kept>) {
        env.world.ends.end(letter.item);
    }
}

/// Runs again and again until all is done; ends each run at any time.
pub(super) fn round(seed: u64, sum: &mut Sum) {
    let mut random = Random::new(seed);
    let env = Arc::new(Kept {
        world: World::new(seed, ITEMS),
        position: AtomicU64::new(0),
        commits: AtomicU64::new(0),
        early: AtomicU64::new(0),
    });
    let (mut runs, mut stopped) = (0, false);
    while env.position.load(SeqCst) < ITEMS {
        runs += 1;
        assert!(runs < 10_000, "it does not get on");
        let began = env.position.load(SeqCst);
        let workers = 1 + random.below(3) as usize;
        let builder = from_where_it_was::pipeline().workers(workers);
        let run = builder.start(Arc::clone(&env)).unwrap();
        pause(&mut random, 10_000);
        let stops = random.below(4) == 0;
        stopped |= stops;
        let report = if stops { run.stop() } else { run.drain() }.unwrap();
        let (ledger, position) = (report.ledger(), env.position.load(SeqCst));
        assert!(ledger.is_balanced() && ledger.in_flight == 0, "{report}");
        if !stops {
            assert_eq!(
                (ledger.received, ledger.dropped),
                (position - began, 0),
                "{report}"
            );
        }
        let guard = report
            .metrics()
            .stage::<from_where_it_was::ask>()
            .guard
            .clone()
            .unwrap();
        sum.runs += 1;
        sum.items += ledger.received;
        sum.delivered += report.metrics().stage::<from_where_it_was::last>().sent;
        sum.failed += ledger.failed;
        sum.dropped += ledger.dropped;
        sum.retried += guard.retried;
        sum.opened += guard.breaker.changes;
    }
    assert_eq!(env.early.load(SeqCst), 0, "kept before it was done");
    assert_eq!(env.world.disordered.load(SeqCst), 0);
    let (ended, twice) = env.world.ends.counts();
    assert_eq!(ended, ITEMS, "lost");
    // What came twice was on its way at a stop.
    assert!(stopped || twice == 0, "{twice} came twice without need");
    sum.twice += twice;
    sum.commits += env.commits.load(SeqCst);
}
