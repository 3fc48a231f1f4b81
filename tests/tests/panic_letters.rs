//! Items that panic leave by the `Err` of their stage, where that is said, and nothing is lost.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::fmt;

use pipewright::{
    Batch, Blueprint, Builder, CallError, Classify, DeadLetter, Merge, NoInput, Panicked,
    breaker::State, pipeline,
};
use pipewright_tests::{Seen, WORKERS, work};

/// The items of each run.
const ITEMS: u64 = 10_000;

/// Why an item failed.
#[derive(Clone, Debug)]
pub enum Failure {
    Bad(u64),
    Panicked(String),
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Classify for Failure {}

/// One item in a hundred panics, and one fails.
fn parse(n: u64) -> Result<u64, Failure> {
    assert_ne!(n % 100, 7, "at {n}");
    match n % 100 {
        8 => Err(Failure::Bad(n)),
        _ => Ok(work(n)),
    }
}

/// What panicked, by its number.
fn number(failure: &Failure) -> u64 {
    match failure {
        Failure::Bad(n) => *n,
        Failure::Panicked(said) => {
            let (_, after) = said.split_once("at ").unwrap();
            let digits = after.chars().take_while(char::is_ascii_digit);
            digits.collect::<String>().parse().unwrap()
        }
    }
}

#[derive(Debug, Default)]
pub struct Count(u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// A pipeline whose stage panics; `$keys` say how it runs.
macro_rules! panics {
    ($name:ident, [$($keys:tt)*], $reject:item, $($param:tt)*) => {
        #[pipeline(env = Seen<u64>)]
        mod $name {
            use super::*;

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, on_panic = dead_letter, $($keys)*)]
            pub(crate) fn parse(n: u64 $($param)*) -> Result<u64, Failure> {
                super::parse(n)
            }

            #[stage(from = parse)]
            fn behind(n: u64) -> u64 {
                n
            }

            #[sink(from = behind)]
            fn publish(n: u64, env: &Seen<u64>) {
                env.see(n);
            }

            $reject
        }
    };
}

panics!(
    plain,
    [],
    #[sink(from = parse::Err)]
    fn reject(failure: Failure, env: &Seen<u64>) {
        env.see(number(&failure));
    },
);
panics!(
    kept,
    [],
    #[sink(from = parse::Err)]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Seen<u64>) {
        assert_eq!(letter.item, number(&letter.error));
        assert_eq!(letter.stage, "parse");
        env.see(letter.item);
    },
);
panics!(
    per_worker,
    [per_worker],
    #[sink(from = parse::Err)]
    fn reject(letter: DeadLetter<Failure>, env: &Seen<u64>) {
        env.see(number(&letter.error));
    },
    , _: &mut Count
);
panics!(
    retried,
    [retry(max = 2, backoff = "1us")],
    #[sink(from = parse::Err)]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Seen<u64>) {
        env.see(letter.item);
    },
);

panics!(
    serial,
    [],
    #[sink(from = parse::Err)]
    fn reject(failure: Failure, env: &Seen<u64>) {
        env.see(number(&failure));
    },
    , _: &mut Last
);

/// The item before, which is forgotten when one panics.
#[derive(Debug, Default)]
pub struct Last(Option<u64>);

/// A state for each key, and one for all, and letters with the items.
#[pipeline(env = Seen<u64>)]
mod stateful {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 10, on_panic = dead_letter)]
    fn keyed(n: u64, last: &mut Last) -> Result<u64, Failure> {
        let before = last.0.replace(n);
        // The state of the key is new behind an item that has panicked, and old behind all others.
        assert_eq!(
            before.is_none(),
            n < 10 || n % 100 == 17,
            "it is as it was left"
        );
        super::parse(n)
    }

    #[stage(from = keyed, on_panic = dead_letter)]
    pub(crate) fn parse(n: u64, last: &mut Last) -> Result<u64, Failure> {
        last.0 = Some(n);
        assert_ne!(n % 100, 9, "at {n}");
        Ok(n)
    }

    #[sink(from = parse)]
    fn publish(n: u64, env: &Seen<u64>) {
        env.see(n);
    }

    #[sink(from = [keyed::Err, parse::Err])]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Seen<u64>) {
        assert_eq!(letter.item, number(&letter.error));
        env.see(letter.item);
    }
}

/// A pipeline whose batch stage panics; what it is, and who reads its errors.
macro_rules! panics_at_once {
    ($name:ident, $parse:item, $reject:item) => {
        #[pipeline(env = Seen<u64>)]
        mod $name {
            use super::*;

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            $parse

            #[sink(from = parse, order = any)]
            fn publish(n: u64, env: &Seen<u64>) {
                env.see(n);
            }

            $reject
        }
    };
}

/// What one batch is to panic with, which says how many items it has, and its first.
fn parse_all(numbers: &[u64]) {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    assert_eq!(last - first + 1, numbers.len() as u64, "they come in order");
    assert!(
        !numbers.iter().any(|n| n % 100 == 7),
        "{} from {first}",
        numbers.len()
    );
}

/// Each item is told of its own.
fn told(letter: &DeadLetter<Failure, u64>) -> u64 {
    let Failure::Panicked(said) = &letter.error else {
        unreachable!("nothing else fails");
    };
    let (items, first) = said.split_once(" from ").unwrap();
    let (items, first): (u64, u64) = (items.parse().unwrap(), first.parse().unwrap());
    assert!((first..first + items).contains(&letter.item), "{said}");
    letter.item
}

panics_at_once!(
    converted,
    #[stage(from = numbers, batch = 16, on_panic = dead_letter)]
    pub(crate) fn parse(numbers: &mut Batch<u64>) -> Vec<Result<u64, Failure>> {
        let numbers: Vec<u64> = numbers.drain().collect();
        parse_all(&numbers);
        numbers.into_iter().map(Ok).collect()
    },
    #[sink(from = parse::Err)]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Seen<u64>) {
        env.see(told(&letter));
    }
);
panics_at_once!(
    judged,
    #[stage(from = numbers, order = any, batch = 16, on_panic = dead_letter, retry(max = 1, backoff = "1us"), breaker(failure_pct = 100, min_items = 100_000))]
    pub(crate) fn parse(numbers: &[u64]) -> Vec<Result<(), Failure>> {
        parse_all(numbers);
        numbers.iter().map(|_| Ok(())).collect()
    },
    #[sink(from = parse::Err)]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Seen<u64>) {
        assert_eq!(letter.attempts, 1, "what panics is not called again");
        env.see(told(&letter));
    }
);
panics_at_once!(
    counted,
    #[stage(from = numbers, order = any, batch = 16, on_panic = dead_letter)]
    pub(crate) fn parse(numbers: &[u64]) -> Vec<Result<(), Failure>> {
        parse_all(numbers);
        numbers.iter().map(|_| Ok(())).collect()
    },
    #[sink(from = parse::Err, order = any)]
    fn reject(failure: Failure, env: &Seen<u64>) {
        assert!(matches!(failure, Failure::Panicked(_)));
        // One reader in the same loop panics, too.
        let rejects = env.len() as u64 % 1_000;
        assert!(
            rejects != 500 || !matches!(failure, Failure::Panicked(_)),
            "again"
        );
        env.see(u64::MAX);
    }
);

/// Readers in the same loop, of which one panics, too.
#[pipeline(env = Seen<u64>)]
mod together {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, order = any, on_panic = dead_letter)]
    fn parse(n: u64) -> Result<u64, Failure> {
        super::parse(n)
    }

    #[sink(from = parse, order = any)]
    fn publish(n: u64, env: &Seen<u64>) {
        env.see(n);
    }

    #[sink(from = parse::Err, order = any)]
    fn first(failure: Failure) {
        assert!(number(&failure) != 107, "again");
    }

    #[sink(from = parse::Err, order = any)]
    fn second(failure: Failure, env: &Seen<u64>) {
        env.see(number(&failure));
    }
}

#[track_caller]
fn check<P: Blueprint<Env = Seen<u64>, Input = NoInput> + fmt::Debug>(
    pipeline: impl Fn() -> Builder<P>,
) {
    for workers in WORKERS {
        for builder in [pipeline(), pipeline().in_parallel()] {
            let seen = Seen::new();
            let report = builder.workers(workers).run(seen.clone()).unwrap();
            let (ledger, metrics) = (report.ledger(), report.metrics());
            assert_eq!((ledger.panicked, ledger.filtered), (0, 0), "{report}");
            assert_eq!(ledger.failed, ITEMS / 50, "{report}");
            assert_eq!(metrics.get("parse").unwrap().failed, ITEMS / 50);
            assert!(report.panics()[0].message.contains("at "), "{report}");
            let mut all = seen.take();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
        }
    }
}

#[test]
fn items_that_panic_leave_as_errors_and_each_item_comes_out_once() {
    check(plain::pipeline);
    check(per_worker::pipeline);
    check(retried::pipeline);
    check(serial::pipeline);
}

#[test]
fn a_state_is_new_behind_an_item_that_panicked() {
    for workers in WORKERS {
        let seen = Seen::new();
        let pipeline = stateful::pipeline().workers(workers);
        let report = pipeline.run(seen.clone()).unwrap();
        let (ledger, metrics) = (report.ledger(), report.metrics());
        assert_eq!((ledger.panicked, ledger.filtered), (0, 0), "{report}");
        let failed = |name| metrics.get(name).unwrap().failed;
        assert_eq!(
            (failed("keyed"), failed("parse")),
            (ITEMS / 50, ITEMS / 100)
        );
        let mut all = seen.take();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
    }
}

#[test]
fn of_a_batch_that_panics_each_item_leaves_as_an_error() {
    for workers in WORKERS {
        for which in [0, 1] {
            let seen = Seen::new();
            let text = match which {
                0 => run(converted::pipeline().workers(workers), &seen),
                _ => run(judged::pipeline().workers(workers), &seen),
            };
            let mut all = seen.take();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..ITEMS), "{text}");
        }
    }
}

/// Runs a pipeline in which nothing is lost, and says what its report does.
#[track_caller]
fn run<P: Blueprint<Env = Seen<u64>, Input = NoInput> + fmt::Debug>(
    pipeline: Builder<P>,
    seen: &Seen<u64>,
) -> String {
    let report = pipeline.run(seen.clone()).unwrap();
    let (ledger, metrics) = (report.ledger(), report.metrics());
    assert_eq!((ledger.panicked, ledger.filtered), (0, 0), "{report}");
    let parse = metrics.get("parse").unwrap();
    assert!(
        parse.failed >= ITEMS / 100 && parse.received == ITEMS,
        "{report}"
    );
    assert!(ledger.is_balanced(), "{report}");
    report.to_string()
}

#[test]
fn whoever_reads_the_errors_of_a_batch_may_panic_and_the_rest_comes() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = counted::pipeline()
            .workers(workers)
            .run(seen.clone())
            .unwrap();
        let (ledger, metrics) = (report.ledger(), report.metrics());
        let lost = metrics.get("reject").unwrap().panicked;
        assert_eq!(ledger.panicked, lost, "{report}");
        assert_eq!(seen.len() as u64, ITEMS - lost, "{report}");
        assert!(ledger.is_balanced(), "{report}");
    }
}

#[test]
fn a_dry_run_lets_each_item_of_a_batch_leave_and_a_tuning_file_loses_them() {
    let seen = Seen::new();
    let mut dry = converted::pipeline().dry_run(seen.clone());
    dry.feed::<converted::parse>(0..32);
    let report = dry.drain().unwrap();
    assert_eq!((report.ledger().failed, report.ledger().panicked), (16, 0));
    let mut all = seen.take();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..32));

    let isolated = r#"( stages: { "parse": (on_panic: isolate) } )"#;
    let pipeline = converted::pipeline().tuning("t.tuning.ron", isolated);
    let seen = Seen::new();
    let report = pipeline.unwrap().workers(2).run(seen.clone()).unwrap();
    let ledger = report.ledger();
    assert_eq!(seen.len() as u64 + ledger.panicked, ITEMS, "{report}");
    assert!(ledger.panicked > 0 && ledger.is_balanced(), "{report}");
}

#[test]
fn letters_have_the_items_that_panicked() {
    check(kept::pipeline);
}

#[test]
fn whoever_reads_what_panicked_may_panic_too_and_the_others_get_theirs() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = together::pipeline()
            .workers(workers)
            .run(seen.clone())
            .unwrap();
        assert_eq!(report.ledger().panicked, 1, "{report}");
        assert_eq!(report.metrics().get("first").unwrap().panicked, 1);
        let mut all = seen.take();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS));
        assert!(report.ledger().is_balanced(), "{report}");
    }
}

#[test]
fn a_dry_run_lets_them_leave_too_and_a_tuning_file_may_say_otherwise() {
    let seen = Seen::new();
    let mut run = kept::pipeline().dry_run(seen.clone());
    run.feed::<kept::parse>(5..10);
    let report = run.drain().unwrap();
    assert_eq!((report.ledger().failed, report.ledger().panicked), (2, 0));
    let mut all = seen.take();
    all.sort_unstable();
    assert!(all.into_iter().eq(5..10));

    let isolated = r#"( stages: { "parse": (on_panic: isolate) } )"#;
    let pipeline = plain::pipeline().tuning("t.tuning.ron", isolated).unwrap();
    let report = pipeline.workers(2).run(Seen::new()).unwrap();
    assert_eq!(report.ledger().panicked, ITEMS / 100, "{report}");
    let letters = r#"( stages: { "behind": (on_panic: dead_letter) } )"#;
    let wrong = plain::pipeline()
        .tuning("t.tuning.ron", letters)
        .unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("`on_panic = dead_letter` of `behind` was not compiled in")
    );
}

/// Whoever calls is told at once, and the error goes on.
#[pipeline(env = Seen<u64>, reply = parse)]
pub mod called {
    use super::*;

    #[stage(from = input, on_panic = dead_letter, breaker(consecutive = 3))]
    pub fn parse(n: u64) -> Result<u64, Failure> {
        super::parse(n)
    }

    #[sink(from = parse::Err)]
    pub fn reject(failure: Failure, env: &Seen<u64>) {
        env.see(number(&failure));
    }
}

#[test]
fn a_call_that_panics_is_told_so_and_a_breaker_counts_it_by_its_error() {
    let seen = Seen::new();
    let run = called::pipeline().workers(2).start(seen.clone()).unwrap();
    assert_eq!(run.call(1).unwrap(), 1);
    for _ in 0..3 {
        let told = run.call(7).unwrap_err();
        assert!(matches!(told, CallError::Panicked { .. }), "{told:?}");
    }
    pipewright_tests::eventually(|| run.breaker::<called::parse>().unwrap().state() == State::Open);
    let report = run.drain().unwrap();
    assert_eq!(seen.take(), [7, 7, 7], "{report}");
    assert_eq!(report.ledger().panicked, 0, "{report}");
}
