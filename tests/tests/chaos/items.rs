//! Stages that panic, and errors of every class.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use pipewright::{Classify, DeadLetter, ErrorClass, breaker::State, pipeline};
use pipewright_tests::{
    faults,
    oracle::{Case, InOrder as Seen, strikes},
};

/// The numbers of a run, and its seed.
#[derive(Clone, Copy)]
pub struct Env {
    seed: u64,
    items: u64,
}

/// One panic in so many items, at each stage.
const PANICS: u64 = 100_000;

#[pipeline(env = Env)]
mod panicking {
    use super::*;

    #[source]
    pub fn numbers(env: &Env) -> std::ops::Range<u64> {
        0..env.items
    }

    #[stage(from = numbers)]
    pub fn first(n: u64, env: &Env) -> u64 {
        assert!(!strikes(env.seed, 1, n, PANICS), "chaos");
        n
    }

    #[stage(from = first)]
    pub fn second(n: u64, env: &Env) -> Option<u64> {
        assert!(!strikes(env.seed, 2, n, PANICS), "chaos");
        (!n.is_multiple_of(3)).then_some(n)
    }

    #[stage(from = second, per_worker)]
    pub fn third(n: u64, count: &mut u64, env: &Env) -> u64 {
        assert!(!strikes(env.seed, 3, n, PANICS), "chaos");
        *count += 1;
        n
    }

    #[stage(from = third, on_panic = keep)]
    pub fn fourth(n: u64, count: &mut u64, env: &Env) -> u64 {
        assert!(!strikes(env.seed, 4, n, PANICS), "chaos");
        *count += 1;
        n
    }

    #[sink(from = fourth)]
    pub fn last(n: u64, seen: &mut Seen) {
        seen.see(n);
    }
}

#[test]
fn c1_stages_that_panic_at_random_lose_nothing_else() {
    let case = Case::begin("C1");
    let (seed, items) = (case.seed(), faults(100_000_000));
    let mut report = panicking::pipeline().run(Env { seed, items }).unwrap();

    let mut expect = Seen::default();
    let (mut panicked, mut filtered) = (0, 0);
    for n in 0..items {
        let fails = |stage| strikes(seed, stage, n, PANICS);
        if fails(1) || fails(2) {
            panicked += 1;
        } else if n.is_multiple_of(3) {
            filtered += 1;
        } else if fails(3) || fails(4) {
            panicked += 1;
        } else {
            expect.see(n);
        }
    }
    let seen = report.take_state::<panicking::last>().unwrap();
    println!(
        "C1: {items} items, {panicked} panics, {} delivered",
        seen.items
    );
    assert_eq!(
        (seen.items, seen.sum, seen.disordered),
        (expect.items, expect.sum, 0),
        "{report}"
    );
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!((ledger.panicked, ledger.filtered), (panicked, filtered));
    assert!(panicked >= items / 100_000, "{panicked} of {items}");
    case.end();
}

/// One error in so many items, of each class.
const ERRORS: u64 = 1_000;

#[derive(Debug)]
pub struct Fault(ErrorClass);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Classify for Fault {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// The error of an item, if it has one; the items of a class are bad, those of the others fail once.
fn fault(seed: u64, n: u64) -> Option<ErrorClass> {
    use ErrorClass::{Dependency, Item, Overload, Timeout};
    let classes = (1..).zip([Item, Dependency, Overload, Timeout]);
    classes
        .into_iter()
        .find(|(at, _)| strikes(seed, *at, n, ERRORS))
        .map(|(_, class)| class)
}

/// A run whose items fail, and which of them were tried.
pub struct Once {
    env: Env,
    tried: Vec<AtomicBool>,
}

#[pipeline(env = Arc<Once>)]
mod failing {
    use super::*;

    #[source]
    pub fn numbers(env: &Arc<Once>) -> std::ops::Range<u64> {
        0..env.env.items
    }

    /// Bad items only: the breaker has nothing to open for.
    #[stage(from = numbers, breaker(min_items = 10, failure_pct = 1))]
    pub fn check(n: u64, env: &Arc<Once>) -> Result<u64, Fault> {
        match fault(env.env.seed, n) {
            Some(ErrorClass::Item) => Err(Fault(ErrorClass::Item)),
            _ => Ok(n),
        }
    }

    #[stage(from = check, retry(max = 3, backoff = "1ms"))]
    pub fn ask(n: u64, env: &Arc<Once>) -> Result<u64, Fault> {
        let Some(class) = fault(env.env.seed, n) else {
            return Ok(n);
        };
        match env.tried[n as usize].swap(true, Relaxed) {
            false => Err(Fault(class)),
            true => Ok(n),
        }
    }

    #[sink(from = ask)]
    pub fn last(n: u64, seen: &mut Seen) {
        seen.see(n);
    }

    #[sink(from = check::Err)]
    pub fn bad(letter: DeadLetter<Fault, u64>, seen: &mut Seen) {
        assert_eq!(letter.class, ErrorClass::Item);
        seen.see(letter.item);
    }

    /// Those for whose next try there was no budget.
    #[sink(from = ask::Err)]
    pub fn given_up(letter: DeadLetter<Fault, u64>, seen: &mut Seen) {
        assert_ne!(letter.class, ErrorClass::Item);
        seen.see(letter.item);
    }
}

#[test]
fn c2_errors_of_every_class_go_where_they_belong() {
    let case = Case::begin("C2");
    let (seed, items) = (case.seed(), faults(2_000_000));
    let once = Once {
        env: Env { seed, items },
        tried: (0..items).map(|_| AtomicBool::new(false)).collect(),
    };
    let mut report = failing::pipeline().run(Arc::new(once)).unwrap();
    let guard = report
        .metrics()
        .stage::<failing::check>()
        .guard
        .clone()
        .unwrap();
    assert_eq!(guard.state, Some(State::Closed));
    assert_eq!(guard.breaker.changes, 0, "bad items do not open a breaker");

    let seen = report.take_state::<failing::last>().unwrap();
    let bad = report.take_state::<failing::bad>().unwrap();
    let given_up = report.take_state::<failing::given_up>().unwrap();
    let expect = (0..items).filter(|n| fault(seed, *n) == Some(ErrorClass::Item));
    let expect: Vec<u64> = expect.collect();
    println!(
        "C2: {items} items, {} bad, {} tried again, {} given up, {} delivered",
        bad.items,
        report
            .metrics()
            .stage::<failing::ask>()
            .guard
            .as_ref()
            .unwrap()
            .retried,
        given_up.items,
        seen.items
    );
    assert_eq!(
        (bad.items, bad.sum),
        (expect.len() as u64, expect.iter().sum())
    );
    assert_eq!(seen.items + bad.items + given_up.items, items, "{report}");
    assert_eq!(
        seen.sum + bad.sum + given_up.sum,
        (0..items).sum::<u64>(),
        "{report}"
    );
    assert_eq!(
        (seen.disordered, bad.disordered, given_up.disordered),
        (0, 0, 0),
        "{report}"
    );
    assert!(report.ledger().is_balanced());
    case.end();
}
