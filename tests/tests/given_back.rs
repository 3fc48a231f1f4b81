//! Items that an open breaker gives back to their source: none is committed before it is done, and each comes again.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    convert::Infallible,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use pipewright::{
    Acknowledge, Batch, Blueprint, Builder, Commit, Concern, Emit, Flow, Health, NoInput, Report,
    Rewind, RunError, Running,
    breaker::State,
    files::{FileError, FileSource},
    pipeline,
};
use pipewright_tests::{
    dependency::{Dependency, Failure},
    eventually,
    guarded::{guard, guard_of},
};

/// The items of each run.
const ITEMS: u64 = 6_000;

/// The environment: what is called, and the position that is kept.
#[derive(Clone)]
pub struct Env {
    called: Dependency,
    kept: Arc<AtomicU64>,
    /// What is committed has come out before.
    early: Arc<AtomicU64>,
    /// The source cannot go back.
    stuck: Arc<AtomicBool>,
    /// The source waits.
    waits: Arc<AtomicBool>,
}

impl Env {
    fn of(called: Dependency) -> Self {
        Self {
            called,
            kept: Arc::default(),
            early: Arc::default(),
            stuck: Arc::default(),
            waits: Arc::default(),
        }
    }

    /// All that has come out, in order, each once.
    fn came_out(&self) -> Vec<u64> {
        let mut all = [self.called.published(), self.called.rejected()].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

pub struct Numbers {
    next: u64,
    env: Env,
}

pub struct Keeper(Env);

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Keeper;
    type Error = String;

    fn committer(&mut self) -> Result<Keeper, String> {
        Ok(Keeper(self.env.clone()))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl Rewind for Numbers {
    fn rewind(&mut self, position: u64) -> Result<(), String> {
        assert!(position < self.next, "it goes back");
        if self.env.stuck.load(SeqCst) {
            return Err("it is gone".to_owned());
        }
        self.next = position;
        Ok(())
    }
}

impl Commit<u64> for Keeper {
    type Error = Infallible;

    fn commit(&mut self, position: u64) -> Result<(), Infallible> {
        let Self(env) = self;
        if !env
            .came_out()
            .into_iter()
            .take(position as usize)
            .eq(0..position)
        {
            env.early.fetch_add(1, SeqCst);
        }
        assert!(env.kept.swap(position, SeqCst) <= position);
        Ok(())
    }
}

fn resume(env: &Env) -> Numbers {
    Numbers {
        next: env.kept.load(SeqCst),
        env: env.clone(),
    }
}

fn poll(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
    if from.env.waits.load(SeqCst) {
        return Flow::Idle;
    }
    if from.next == ITEMS {
        return Flow::Done;
    }
    out.send(from.next);
    from.next += 1;
    Flow::More
}

/// A pipeline whose stage gives back; `$stage` is the stage `guarded`.
macro_rules! gives_back {
    ($name:ident, $($stage:item),*) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source(state = resume, acks)]
            fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
                poll(from, out)
            }

            $($stage)*

            #[sink(from = guarded)]
            fn publish(n: u64, env: &Env) {
                env.called.publish(n);
            }

            #[sink(from = guarded::Err)]
            fn reject(failure: Failure, env: &Env) {
                env.called.reject(&failure);
            }
        }
    };
}

gives_back!(
    plain,
    #[stage(from = numbers, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    pub(crate) fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.called.call(n)
    }
);
gives_back!(
    serial,
    #[stage(from = numbers, retry(max = 1, backoff = "1us"), breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    fn guarded(n: u64, last: &mut u64, env: &Env) -> Result<u64, Failure> {
        *last = n;
        env.called.call(n)
    }
);
gives_back!(
    keyed,
    #[stage(from = numbers, key = |n: &u64| n % 10, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "5ms", probes = 3, on_open = nack))]
    fn guarded(n: u64, _: &mut u64, env: &Env) -> Result<u64, Failure> {
        env.called.call(n)
    }
);
gives_back!(
    batched,
    #[stage(from = numbers, batch = 16, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    fn guarded(all: &mut Batch<u64>, env: &Env) -> Vec<Result<u64, Failure>> {
        all.drain().map(|n| env.called.call(n)).collect()
    }
);
gives_back!(
    awaited,
    #[stage(from = numbers, in_flight = 8, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    async fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        std::future::ready(()).await;
        env.called.call(n)
    }
);
gives_back!(
    forked,
    #[stage(from = numbers, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.called.call(n)
    },
    #[sink(from = numbers)]
    fn beside(n: u64, env: &Env) {
        env.called.spool(n);
    }
);

/// Runs it to its end, with a dependency that is down until items were given back. It is not for so many calls that it is down: all of
/// them may be in one slice, and when the next one comes, late, the breaker may let it through.
fn recovers<P: Blueprint>(run: Running<P>, called: &Dependency) -> Report<P> {
    eventually(|| guard(&run).returned > 0);
    called.recover();
    run.wait().expect("nothing stops it")
}

/// Every item comes out, and is committed when it has.
#[track_caller]
fn check<P: Blueprint<Env = Env, Input = NoInput>>(pipeline: impl Fn() -> Builder<P>) {
    for workers in [1, 2, 4] {
        let env = Env::of(Dependency::down_from(1_000));
        let run = pipeline().workers(workers).start(env.clone()).unwrap();
        let report = recovers(run, &env.called);
        let (seen, ledger) = (guard_of(&report), report.ledger());
        assert!(seen.returned > 0, "{report}");
        assert_eq!(ledger.dropped_by.returned, seen.returned, "{report}");
        assert_eq!(
            (ledger.dropped, ledger.panicked),
            (seen.returned, 0),
            "{report}"
        );
        assert!(ledger.is_balanced() && ledger.received > ITEMS, "{report}");
        assert!(report.to_string().contains(" to come again"), "{report}");
        assert!(env.came_out().into_iter().eq(0..ITEMS), "{report}");
        assert_eq!(env.kept.load(SeqCst), ITEMS, "all of it is committed");
        assert_eq!(env.early.load(SeqCst), 0, "only what is done is committed");
        assert_eq!(report.health(), &Health::Healthy, "nothing is left");
    }
}

#[test]
fn what_is_given_back_comes_again_in_the_same_run_and_nothing_is_lost() {
    check(plain::pipeline);
    check(serial::pipeline);
    check(keyed::pipeline);
}

#[test]
fn batches_and_futures_give_back_too() {
    check(batched::pipeline);
    check(awaited::pipeline);
}

#[test]
fn other_readers_of_the_source_see_all_items_and_some_of_them_again() {
    check(forked::pipeline);
    let env = Env::of(Dependency::down_from(1_000));
    let run = forked::pipeline().workers(2).start(env.clone()).unwrap();
    let report = recovers(run, &env.called);
    let mut beside = env.called.spooled();
    assert!(beside.len() as u64 > ITEMS, "{report}");
    beside.sort_unstable();
    beside.dedup();
    assert!(beside.into_iter().eq(0..ITEMS));
}

#[test]
fn what_was_given_back_when_a_run_is_drained_comes_with_the_next_one() {
    for workers in [1, 3] {
        let env = Env::of(Dependency::well());
        env.waits.store(true, SeqCst);
        let run = plain::pipeline()
            .workers(workers)
            .start(env.clone())
            .unwrap();
        run.breaker::<plain::guarded>().unwrap().force_open();
        env.waits.store(false, SeqCst);
        let concern = Concern::Returned { source: "numbers" };
        eventually(|| matches!(run.health(), Health::Degraded(all) if all.contains(&concern)));
        let report = run.drain().expect("it ends, with what it has");
        assert!(report.ledger().is_balanced(), "{report}");
        assert!(guard_of(&report).returned > 0, "{report}");
        assert_eq!(env.kept.load(SeqCst), env.came_out().len() as u64);
        let said = report.health().to_string();
        assert!(said.contains("`numbers` has to give items again"), "{said}");

        let run = plain::pipeline()
            .workers(workers)
            .start(env.clone())
            .unwrap();
        let report = run.wait().expect("nothing stops it");
        assert!(report.ledger().is_balanced(), "{report}");
        assert!(env.came_out().into_iter().eq(0..ITEMS));
        assert_eq!(env.kept.load(SeqCst), ITEMS);
    }
}

#[test]
fn a_source_that_has_ended_goes_on_when_the_breaker_lets_items_through_again() {
    let env = Env::of(Dependency::well());
    env.waits.store(true, SeqCst);
    let run = plain::pipeline().workers(2).start(env.clone()).unwrap();
    let breaker = run.breaker::<plain::guarded>().unwrap();
    breaker.force_open();
    env.waits.store(false, SeqCst);
    eventually(|| breaker.metrics().refused > 0);
    breaker.release();
    let report = run.wait().expect("nothing stops it");
    assert!(env.came_out().into_iter().eq(0..ITEMS), "{report}");
    assert_eq!(env.kept.load(SeqCst), ITEMS, "{report}");
}

#[test]
fn a_source_that_cannot_go_back_stops_the_run() {
    let env = Env::of(Dependency::down_from(1_000));
    env.stuck.store(true, SeqCst);
    let run = plain::pipeline().workers(2).start(env.clone()).unwrap();
    let failed = run.wait().expect_err("it cannot go back");
    assert!(
        matches!(&failed.error, RunError::Failed { stage: "numbers", error } if error == "it is gone"),
        "{failed}"
    );
    assert!(failed.report.ledger().is_balanced(), "{failed}");
    assert!(env.kept.load(SeqCst) < ITEMS);
}

#[test]
fn a_dry_run_counts_what_is_given_back() {
    let env = Env::of(Dependency::failing(0, 5));
    let mut run = plain::pipeline().dry_run(env.clone());
    run.feed::<plain::guarded>(0..10);
    run.run();
    run.advance("20ms");
    run.feed::<plain::guarded>(5..10);
    let report = run.drain().expect("nothing stops it");
    let seen = guard_of(&report);
    assert_eq!(
        (seen.returned, seen.state),
        (5, Some(State::Closed)),
        "{report}"
    );
    assert_eq!(env.called.published(), [5, 6, 7, 8, 9], "{report}");
    assert_eq!(report.ledger().dropped_by.returned, 5, "{report}");
    assert!(report.ledger().is_balanced(), "{report}");
}

/// The files of a run, and what is called.
#[derive(Clone)]
pub struct Files {
    lines: std::path::PathBuf,
    kept: std::path::PathBuf,
    called: Dependency,
}

#[pipeline(env = Files)]
mod filed {
    use super::*;

    fn open(files: &Files) -> Result<FileSource, FileError> {
        FileSource::lines(&files.lines, &files.kept)
            .find_crashes()
            .open()
    }

    #[source(state = open, acks)]
    fn lines(file: &mut FileSource, out: &mut Emit<Result<Vec<u8>, FileError>>) -> Flow {
        file.poll(out)
    }

    #[stage(from = lines, on_error = stop)]
    fn parse(line: Result<Vec<u8>, FileError>) -> Result<u64, FileError> {
        Ok(String::from_utf8(line?).unwrap().parse().unwrap())
    }

    #[sink(from = parse, on_error = drop, breaker(consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack))]
    fn guarded(n: u64, files: &Files) -> Result<(), Failure> {
        files.called.spool(n);
        files.called.call(n).map(|n| files.called.publish(n))
    }
}

#[test]
fn a_file_goes_back_to_the_record_behind_all_that_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files {
        lines: folder.path().join("lines"),
        kept: folder.path().join("kept"),
        called: Dependency::down_from(500),
    };
    let text: String = (0..2_000).map(|n| format!("{n}\n")).collect();
    fs::write(&files.lines, &text).unwrap();
    let run = filed::pipeline().workers(2).start(files.clone()).unwrap();
    let report = recovers(run, &files.called);
    let mut called = files.called.spooled();
    called.sort_unstable();
    called.dedup();
    assert!(called.into_iter().eq(0..2_000), "{report}");
    let again = filed::pipeline().run(files.clone()).unwrap();
    assert_eq!(again.ledger().received, 0, "all of it is committed");
}
