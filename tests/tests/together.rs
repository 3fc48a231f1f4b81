//! What keeps items safe works together: breakers, dead letters with items, calls, acknowledged sources, and dry runs of them.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use pipewright::{
    Acknowledge, CallError, Classify, Commit, DeadLetter, Emit, ErrorClass, Flow, breaker::Refused,
    pipeline,
};

/// What a stage calls: down for the calls in the range.
#[derive(Debug, Default)]
pub struct Remote {
    calls: AtomicU64,
    down: std::ops::Range<u64>,
    letters: Mutex<Vec<(u64, Failure)>>,
    attempts: Mutex<Vec<u32>>,
}

pub type Env = Arc<Remote>;

impl Remote {
    fn down(down: std::ops::Range<u64>) -> Env {
        Arc::new(Self {
            down,
            ..Self::default()
        })
    }

    fn call(&self, n: u64) -> Result<u64, Failure> {
        match self.down.contains(&self.calls.fetch_add(1, SeqCst)) {
            true => Err(Failure::Down),
            false => Ok(n * 2),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Down,
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        ErrorClass::Overload
    }
}

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

#[pipeline(env = Env)]
mod letters {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers, breaker(min_items = 10, failure_pct = 50, open = "60s", on_open = dead_letter))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum += n;
    }

    #[sink(from = ask::Err)]
    pub fn keep(letter: DeadLetter<Failure, u64>, env: &Env) {
        assert_eq!(letter.class, ErrorClass::Overload);
        env.attempts.lock().unwrap().push(letter.attempts);
        env.letters
            .lock()
            .unwrap()
            .push((letter.item, letter.error));
    }
}

#[track_caller]
fn check_letters(env: &Remote) {
    let letters = env.letters.lock().unwrap();
    let items: Vec<u64> = letters.iter().map(|(item, _)| *item).collect();
    let refused = letters
        .iter()
        .filter(|(_, error)| *error == Failure::Refused)
        .count();
    assert!(
        refused > 0 && refused < items.len(),
        "{refused} of {}",
        items.len()
    );
    let attempts = env.attempts.lock().unwrap();
    let told = attempts.iter().zip(letters.iter());
    assert!(
        told.clone()
            .all(|(n, (_, error))| *n == u32::from(*error == Failure::Down))
    );
    // The last of them failed at the breaker, for none comes after the time that it stays open.
    assert_eq!(items, (100..1000).collect::<Vec<_>>());
}

#[test]
fn an_item_that_a_breaker_turns_away_becomes_a_dead_letter_with_the_item() {
    let env = Remote::down(100..10_000);
    let mut report = letters::pipeline().run(Arc::clone(&env)).unwrap();
    check_letters(&env);
    assert_eq!(
        report.take_state::<letters::sum>(),
        Some((0..100).map(|n| n * 2).sum())
    );
    assert_eq!((report.ledger().failed, report.ledger().dropped), (900, 0));
}

#[test]
fn a_dry_run_hands_the_same_letters_on() {
    let env = Remote::down(100..10_000);
    let mut run = letters::pipeline().dry_run(Arc::clone(&env));
    run.feed::<letters::ask>(0..1000);
    let report = run.drain().unwrap();
    check_letters(&env);
    assert_eq!(report.ledger().failed, 900);
}

#[pipeline(env = Env, reply = ask)]
mod calls {
    use super::*;

    #[stage(from = input)]
    pub fn enter(n: u64) -> u64 {
        n
    }

    #[stage(from = enter, rate = "100k/s", breaker(min_items = 4, failure_pct = 50, open = "20ms", probes = 1))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn done(_: u64) {}

    #[sink(from = ask::Err)]
    pub fn failed(_: Failure) {}
}

#[test]
fn calls_wait_while_a_breaker_is_open_and_are_answered() {
    let env = Remote::down(10..20);
    let run = calls::pipeline().start(Arc::clone(&env)).unwrap();
    let answers: Vec<_> = thread::scope(|scope| {
        let call = |of: u64| {
            let run = &run;
            scope.spawn(move || (of..of + 50).map(|n| (n, run.call(n))).collect::<Vec<_>>())
        };
        let callers: Vec<_> = [0, 50].map(call).into();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    let mut failed = 0;
    for (n, answer) in answers {
        match answer {
            Ok(answer) => assert_eq!(answer, n * 2),
            Err(CallError::Failed { .. }) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(failed, 10);
    assert!(run.drain().unwrap().ledger().is_balanced());
}

/// Numbers up to a thousand.
pub struct Numbers {
    next: u64,
    env: Arc<Both>,
}

pub struct Both {
    remote: Env,
    committed: AtomicU64,
    got: Mutex<Vec<u64>>,
    wrong: AtomicU64,
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

pub struct Committer(Arc<Both>);

impl Commit<u64> for Committer {
    type Error = String;

    fn commit(&mut self, position: u64) -> Result<(), String> {
        let got = self.0.got.lock().unwrap();
        let before = self.0.committed.swap(position, SeqCst);
        let missing = (before..position).filter(|n| !got.contains(n)).count();
        self.0.wrong.fetch_add(missing as u64, SeqCst);
        Ok(())
    }
}

fn open(env: &Arc<Both>) -> Numbers {
    Numbers {
        next: 0,
        env: Arc::clone(env),
    }
}

#[pipeline(env = Arc<Both>)]
mod acknowledged {
    use super::*;

    #[source(state = super::open, acks)]
    fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        if from.next == 1000 {
            return Flow::Done;
        }
        out.send(from.next);
        from.next += 1;
        Flow::More
    }

    #[stage(
        from = numbers,
        retry(max = 1, backoff = "1ms"),
        breaker(min_items = 4, failure_pct = 50, open = "10ms", probes = 2, counts = [overload])
    )]
    fn ask(n: u64, env: &Arc<Both>) -> Result<u64, Failure> {
        // Nothing is committed that is still on its way to here.
        assert!(env.committed.load(SeqCst) <= n);
        env.remote.call(n)
    }

    #[sink(from = ask)]
    fn done(n: u64, env: &Arc<Both>) {
        env.got.lock().unwrap().push(n / 2);
    }

    #[sink(from = ask::Err)]
    fn failed(letter: DeadLetter<Failure, u64>, env: &Arc<Both>) {
        env.got.lock().unwrap().push(letter.item);
    }
}

#[test]
fn what_waits_at_a_breaker_is_not_acknowledged_and_all_of_it_is_in_the_end() {
    let env = Arc::new(Both {
        remote: Remote::down(300..330),
        committed: AtomicU64::new(0),
        got: Mutex::default(),
        wrong: AtomicU64::new(0),
    });
    let report = acknowledged::pipeline().run(Arc::clone(&env)).unwrap();
    assert_eq!(env.wrong.load(SeqCst), 0, "committed before they were done");
    let mut got = env.got.lock().unwrap().clone();
    got.sort_unstable();
    assert_eq!(got, (0..1000).collect::<Vec<_>>(), "{report}");
    assert_eq!(env.committed.load(SeqCst), 1000);
}

#[pipeline(env = Env)]
mod tried_again {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(
        from = numbers,
        retry(max = 2, backoff = "1ms"),
        breaker(min_items = 100, failure_pct = 90, open = "10ms", counts = [dependency])
    )]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        match n.is_multiple_of(100) {
            true => Err(Failure::Down),
            false => env.call(n),
        }
    }

    #[sink(from = ask)]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum += n;
    }

    #[sink(from = ask::Err)]
    pub fn keep(letter: DeadLetter<Failure, u64>, env: &Env) {
        assert_eq!(letter.class, ErrorClass::Overload);
        env.attempts.lock().unwrap().push(letter.attempts);
        env.letters
            .lock()
            .unwrap()
            .push((letter.item, letter.error));
    }
}

#[test]
fn a_drain_that_has_little_time_does_not_wait_for_a_breaker_that_stays_open() {
    // However little it is, the breaker is open for longer; a machine that is busy needs more for a hundred calls.
    let attempt = |time| {
        let env = Remote::down(0..u64::MAX);
        let run = pushed::pipeline().start(Arc::clone(&env)).unwrap();
        run.send_all(0..100).unwrap();
        let report = run.drain_within(time).ok()?;
        Some((env, report))
    };
    let (env, report) = [1, 5, 30]
        .into_iter()
        .find_map(|time| attempt(Duration::from_secs(time)))
        .expect("half a minute is enough for a hundred calls");
    let mut failed: Vec<u64> = env
        .letters
        .lock()
        .unwrap()
        .iter()
        .map(|(n, _)| *n)
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, (0..100).collect::<Vec<_>>(), "{report}");
    assert_eq!(report.ledger().dropped, 0);
}

#[pipeline(env = Env)]
mod pushed {
    use super::*;

    #[stage(from = input, breaker(min_items = 10, failure_pct = 50, open = "60s"))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn done(_: u64) {}

    #[sink(from = ask::Err)]
    pub fn keep(letter: DeadLetter<Failure, u64>, env: &Env) {
        env.letters
            .lock()
            .unwrap()
            .push((letter.item, letter.error));
    }
}

#[test]
fn an_item_that_failed_again_and_again_becomes_one_dead_letter_with_the_item() {
    let hundreds: Vec<(u64, Failure)> = (0..10).map(|n| (n * 100, Failure::Down)).collect();
    let env = Remote::down(0..0);
    let report = tried_again::pipeline().run(Arc::clone(&env)).unwrap();
    assert_eq!(*env.letters.lock().unwrap(), hundreds, "{report}");
    assert_eq!(*env.attempts.lock().unwrap(), [3; 10]);
    assert_eq!(
        (report.ledger().failed, report.ledger().delivered),
        (10, 1000)
    );

    let env = Remote::down(0..0);
    let mut run = tried_again::pipeline().dry_run(Arc::clone(&env));
    run.feed::<tried_again::ask>(0..1000);
    let report = run.drain().unwrap();
    assert_eq!(*env.letters.lock().unwrap(), hundreds, "{report}");
    // A drain tries once more.
    assert_eq!(*env.attempts.lock().unwrap(), [2; 10]);
}
