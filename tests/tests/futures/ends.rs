//! How runs with futures under way end: drained, stopped, and by a deadline; and what is acknowledged.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use pipewright::{Acknowledge, CallError, Commit, Emit, Flow, pipeline};
use pipewright_tests::eventually;

use crate::world::Env;

#[pipeline(env = Env)]
mod waiting {
    use super::Env;

    #[stage(from = input, in_flight = 8)]
    pub async fn wait(n: u64, env: &Env) -> u64 {
        env.wait(n).await;
        n
    }

    #[sink(from = wait)]
    pub async fn see(n: u64, env: &Env) {
        env.turn(2).await;
        env.see(n);
    }
}

#[test]
fn a_drain_waits_for_what_is_under_way() {
    let env = Env::default();
    let run = waiting::pipeline().workers(1).start(env.clone()).unwrap();
    run.send_batch(&mut (0..8).collect()).unwrap();
    eventually(|| env.begun() == 8);
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| run.drain().unwrap());
        (0..8).rev().for_each(|n| env.let_through(n));
        let report = drained.join().unwrap();
        assert_eq!(report.metrics().stage::<waiting::see>().sent, 8);
    });
    let mut seen = env.seen();
    seen.sort_unstable();
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
}

#[test]
fn a_run_that_stops_drops_its_futures_and_counts_their_items() {
    for workers in [1, 2] {
        let env = Env::default();
        let run = waiting::pipeline().workers(workers).start(env.clone());
        let run = run.unwrap();
        run.send_batch(&mut (0..20).collect()).unwrap();
        eventually(|| env.begun() == 8);
        let flights = || run.metrics().stage::<waiting::wait>().flights.clone();
        eventually(|| flights().unwrap().in_flight == 8);
        let report = run.stop();
        let report = report.unwrap();
        assert_eq!((env.begun(), env.gone()), (8, 8), "every future is dropped");
        let wait = report.metrics().stage::<waiting::wait>();
        assert_eq!(wait.sent, 0);
        assert_eq!(report.ledger().in_flight, 0, "{report}");
        assert_eq!(
            report.ledger().received,
            report.ledger().dropped,
            "{report}"
        );
        let flights = wait.flights.as_ref().unwrap();
        assert_eq!((flights.in_flight, flights.cancelled), (0, 8));
        // Wakers that outlive the run wake nobody.
        (0..20).for_each(|n| env.let_through(n));
    }
}

#[test]
fn a_drain_with_a_deadline_cancels_what_does_not_end_and_lists_it() {
    let env = Env::default();
    let run = waiting::pipeline().workers(2).start(env.clone()).unwrap();
    run.send_batch(&mut (0..6).collect()).unwrap();
    eventually(|| env.begun() == 6);
    let failed = run.drain_within(Duration::from_millis(20)).unwrap_err();
    assert_eq!(env.gone(), 6);
    assert_eq!(failed.report.metrics().stage::<waiting::wait>().dropped, 6);
    assert!(
        failed.report.to_string().contains("wait"),
        "{}",
        failed.report
    );
}

#[pipeline(env = Env, reply = answer)]
mod asked {
    use super::Env;

    #[stage(from = input, in_flight = 4)]
    pub async fn ask(n: u64, env: &Env) -> Result<Option<u64>, String> {
        match n % 10 {
            0 => env.wait(n).await,
            _ => env.turn(n % 3).await,
        }
        match n % 10 {
            1 => Ok(None),
            2 => Err(format!("{n} is bad")),
            3 => panic!("{n} is worse"),
            _ => Ok(Some(n)),
        }
    }

    #[stage(from = ask)]
    pub async fn answer(n: u64) -> u64 {
        n + 1
    }

    #[sink(from = ask::Err)]
    pub fn complain(error: String, env: &Env) {
        env.complain(error);
    }
}

#[test]
fn every_call_through_futures_is_answered() {
    let env = Env::default();
    let run = asked::pipeline().workers(2).start(env.clone()).unwrap();
    assert_eq!(run.call(14).unwrap(), 15);
    let told = |n: u64| run.call(n).unwrap_err();
    assert!(
        matches!(told(11), CallError::Filtered { .. }),
        "{:?}",
        told(11)
    );
    assert!(matches!(told(13), CallError::Panicked { .. }));
    match told(12) {
        CallError::Failed { error, .. } => assert_eq!(error, "12 is bad"),
        other => panic!("{other:?}"),
    }
    std::thread::scope(|scope| {
        let call = |n: u64| {
            let caller = run.caller();
            scope.spawn(move || caller.call(n))
        };
        let lost = [0, 20].map(call);
        eventually(|| env.begun() == 2);
        // In a batch of its own: where order is kept, a batch leaves when all of it is there.
        let answered = call(10);
        eventually(|| env.begun() == 3);
        env.let_through(10);
        eventually(|| answered.is_finished());
        // The error goes on when its call is answered.
        eventually(|| env.errors().len() == 1);
        let report = run.stop().unwrap();
        assert_eq!(report.ledger().dropped, 2, "{report}");
        assert_eq!(answered.join().unwrap().unwrap(), 11);
        for lost in lost.map(|lost| lost.join().unwrap()) {
            assert!(matches!(lost, Err(CallError::ShutDown(_))), "{lost:?}");
        }
    });
}

/// A log that is read from where it was committed.
#[derive(Debug, Default)]
pub struct Log {
    next: u64,
    committed: Arc<Mutex<Vec<u64>>>,
}

impl Acknowledge for Log {
    type Position = u64;
    type Committer = Committer;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Committer, Infallible> {
        Ok(Committer(Arc::clone(&self.committed)))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

#[derive(Debug)]
pub struct Committer(Arc<Mutex<Vec<u64>>>);

impl Commit<u64> for Committer {
    type Error = Infallible;

    fn commit(&mut self, position: u64) -> Result<(), Infallible> {
        self.0.lock().unwrap().push(position);
        Ok(())
    }
}

impl Env {
    fn log(&self) -> Log {
        Log {
            next: 0,
            committed: self.commits(),
        }
    }
}

#[pipeline(env = Env)]
mod acked {
    use super::{Emit, Env, Flow, Log};

    // Positions are those of batches, of which some end before those that are not let through.
    #[source(acks, state = Env::log, batch = 4)]
    pub fn read(log: &mut Log, out: &mut Emit<u64>) -> Flow {
        if log.next == 40 {
            return Flow::Done;
        }
        out.send(log.next);
        log.next += 1;
        Flow::More
    }

    // Room for all: else those that are let through may find the seats taken by later ones that are not.
    #[stage(from = read, in_flight = 64, order = any)]
    pub async fn wait(n: u64, env: &Env) -> u64 {
        env.wait(n).await;
        n
    }

    #[sink(from = wait)]
    pub async fn see(n: u64, env: &Env) {
        env.turn(1).await;
        env.see(n);
    }
}

#[test]
fn what_waits_in_a_future_is_not_acknowledged() {
    let env = Env::default();
    let run = acked::pipeline().workers(2).start(env.clone()).unwrap();
    let committed = || env.commits().lock().unwrap().last().copied().unwrap_or(0);
    (0..20).filter(|n| *n != 5).for_each(|n| env.let_through(n));
    eventually(|| env.seen().len() == 19);
    assert!(committed() <= 5, "{} is committed", committed());
    env.let_through(5);
    eventually(|| committed() > 5);
    let report = run.stop().unwrap();
    assert!(committed() <= 20, "{} is committed, {report}", committed());
}
