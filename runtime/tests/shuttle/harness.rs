//! How scenarios are run, and what they share.

use std::{
    cell::Cell,
    env::var,
    hash::BuildHasher,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pipewright::{Blueprint, Builder, Failed, Report, Running, machine::Machine};
use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    rand::{Rng, thread_rng},
    scheduler::{
        PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
        UncontrolledNondeterminismCheckScheduler,
    },
};

/// Schedules of each scenario, by default.
const SCHEDULES: usize = 100;
/// Times that PCT takes the processor from the thread that should have it, in each schedule.
const DEPTH: usize = 4;
/// A schedule that is longer does not end.
const MOST_STEPS: usize = 400_000;
/// Stack of a thread, in bytes: generated code without optimisation wants some.
const STACK: usize = 256 << 10;

/// Schedules that are repeated, to see that they can be.
const REPEATED: usize = 4;
/// Fewer schedules need not show everything.
const ENOUGH: usize = 50;

/// What happened in the schedules of a test.
#[derive(Clone, Copy, Debug, Default)]
struct Happened {
    /// Workers of the pool did something.
    pool: usize,
    /// Several of them.
    several: usize,
    /// One slept and another woke it.
    woken: usize,
}

thread_local! {
    /// Of the test that runs on this thread.
    static HAPPENED: Cell<Happened> = const { Cell::new(Happened { pool: 0, several: 0, woken: 0 }) };
}

/// Runs a scenario in as many schedules as the environment says, or in the one that it names.
pub(crate) fn check(scenario: fn()) {
    let _help = Help;
    if let Ok(file) = var("PIPEWRIGHT_SHUTTLE_REPLAY") {
        let schedule = ReplayScheduler::new_from_file(&file).expect("a file with a schedule");
        run(schedule, scenario);
        return;
    }
    let number = |name: &str| var(name).ok().map(|text| text.parse().expect("a number"));
    let schedules = number("PIPEWRIGHT_SHUTTLE_SCHEDULES").map_or(SCHEDULES, |n| n as usize);
    let seed = number("PIPEWRIGHT_SHUTTLE_SEED")
        .unwrap_or_else(|| std::hash::RandomState::new().hash_one(()));
    println!("PIPEWRIGHT_SHUTTLE_SEED={seed}");
    let repeated = RandomScheduler::new_from_seed(seed, REPEATED);
    run(
        UncontrolledNondeterminismCheckScheduler::new(repeated),
        scenario,
    );
    let by_pct = schedules / 2;
    run(PctScheduler::new_from_seed(seed, DEPTH, by_pct), scenario);
    run(
        RandomScheduler::new_from_seed(seed, schedules - by_pct),
        scenario,
    );
    let happened = HAPPENED.get();
    println!("{happened:?}");
    if happened.pool >= ENOUGH {
        // Else the schedules have shown nothing about workers.
        assert!(happened.several > 0 && happened.woken > 0, "{happened:?}");
    }
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    // It warns of what the top of `main.rs` says.
    config.silence_warnings = true;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    config.failure_persistence = FailurePersistence::File(Some(folder));
    Runner::new(scheduler, config).run(scenario);
}

/// Says how to repeat a schedule, when a test fails.
struct Help;

impl Drop for Help {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            println!(
                "help: cargo xtask shuttle {test} --replay FILE, with the file that is named above"
            );
        }
    }
}

/// A number below `most`, in the schedule's choice.
pub(crate) fn any(most: u64) -> u64 {
    thread_rng().gen_range(0..most)
}

/// Lets others go on, as often as the schedule wants.
pub(crate) fn pause(most: u64) {
    for _ in 0..any(most) {
        moment();
    }
}

/// A point at which others may go on.
fn moment() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// Work that differs from item to item, so that batches overtake each other. Returns its argument.
pub(crate) fn uneven(n: u64) -> u64 {
    for _ in 0..mixed(n) % 4 {
        moment();
    }
    n
}

/// Work of which one item in eight has very much. Returns its argument.
pub(crate) fn slow(n: u64) -> u64 {
    for _ in 0..if mixed(n).is_multiple_of(8) { 100 } else { 1 } {
        moment();
    }
    n
}

/// A number that looks random and depends on nothing but `n`.
pub(crate) fn mixed(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// A run on 3 or 4 workers, which begins alone or in parallel.
pub(crate) fn start<P: Blueprint>(builder: Builder<P>, env: P::Env) -> Running<P> {
    let machine = Machine::simulate("2x2").unwrap();
    let builder = builder.machine(machine).workers(3 + any(2) as usize);
    let builder = if any(2) == 0 {
        builder.in_parallel()
    } else {
        builder
    };
    builder.start(env).unwrap()
}

/// The report of a run that has ended well: all that came in went out.
#[track_caller]
pub(crate) fn ended<P: Blueprint>(result: Result<Report<P>, Box<Failed<P>>>) -> Report<P> {
    let report = result.unwrap();
    balanced(&report);
    report
}

/// The ledger of a report must balance, with nothing on its way.
#[track_caller]
pub(crate) fn balanced<P: Blueprint>(report: &Report<P>) {
    note(report);
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0, "{report}");
}

/// Counts what happened in a run.
fn note<P: Blueprint>(report: &Report<P>) {
    let workers = report.metrics().workers();
    let active = workers.iter().filter(|w| w.pulled + w.executed > 0).count();
    let woken = workers.iter().any(|w| w.wakes > 0);
    let before = HAPPENED.get();
    HAPPENED.set(Happened {
        pool: before.pool + usize::from(active > 0),
        several: before.several + usize::from(active > 1),
        woken: before.woken + usize::from(woken),
    });
}

/// What sinks have seen.
pub struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Seen<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn see(&self, item: T) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(item);
    }

    /// All of it, in order.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
