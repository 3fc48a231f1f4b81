//! Random pipelines do what a sequential interpreter of their shape says: the same items, in the order that is promised,
//! with the same states, counts and ledger, whatever the number of workers, the tuning, and the threads that push.
//!
//! `PIPEWRIGHT_SEED=7 PIPEWRIGHT_CASES=50 cargo test -p pipewright-tests --test random` tests other pipelines, longer.
//! What a pipeline looks like is in `random_pipelines.rs` of the build script's `OUT_DIR`.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    unused_mut,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

mod check;
mod env;
mod item;
mod oracle;
mod rules;
mod subject;
mod user;

use std::{
    env::var,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use pipewright_tests::shapes::{
    Form, Shape, State,
    generate::{Dice, shapes},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    env::{Env, Plan},
    subject::{How, Sender, Subject},
};

mod pipelines {
    use pipewright::{Batch, Emit, Flow, pipeline};

    use crate::{
        check::Outcome,
        env::{Env, Given, Tally},
        item::Item,
        rules,
        subject::{FromRoot, How, Subject, drive, push_all},
        user::{self, Route2, Route3},
    };

    include!(concat!(env!("OUT_DIR"), "/random_pipelines.rs"));
}

/// Cases for each pipeline, by default.
const CASES: u32 = 10;
/// A run that takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);
/// A run hung, so its threads are still there.
static HUNG: AtomicBool = AtomicBool::new(false);

/// What a run is given; small ones are simpler.
#[derive(Clone, Debug)]
struct Case {
    /// About so many items of each source.
    size: u64,
    workers: usize,
    senders: u64,
    /// Stages panic once in so many items, or never.
    panics: u64,
    /// Is it parallel from the beginning, and are its batches divided whenever they can be?
    divided: bool,
    /// Is there a tuning file?
    tuned: bool,
    /// How much work an item is.
    work: u64,
    /// Decides the rest.
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![1 => 0..4u64, 2 => 4..300u64, 4 => 300..4000u64];
    let panics = prop_oneof![2 => Just(0u64), 1 => Just(400u64), 1 => Just(40u64), 1 => Just(5u64)];
    let work = prop_oneof![Just(0u64), Just(3u64), Just(10u64)];
    (
        size,
        1..=4usize,
        1..=4u64,
        panics,
        any::<bool>(),
        any::<bool>(),
        work,
        any::<u64>(),
    )
        .prop_map(
            |(size, workers, senders, panics, divided, tuned, work, seed)| Case {
                size,
                workers,
                senders,
                panics,
                divided,
                tuned,
                work,
                seed,
            },
        )
}

#[test]
fn random_pipelines_do_what_the_interpreter_says() {
    silence_chosen_panics();
    let seed = pipelines::SEED;
    let count =
        var("PIPEWRIGHT_CASES").map_or(CASES, |text| text.parse().expect("a number of cases"));
    println!(
        "PIPEWRIGHT_SEED={seed} PIPEWRIGHT_SHAPES={} PIPEWRIGHT_CASES={count}",
        pipelines::COUNT
    );
    let shapes = shapes(seed, pipelines::COUNT);
    let mut failures = Vec::new();
    for (n, (shape, subject)) in shapes.iter().zip(pipelines::SUBJECTS).enumerate() {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&(n as u64).to_le_bytes());
        let config = Config {
            cases: count,
            failure_persistence: None,
            max_shrink_iters: 200,
            ..Config::default()
        };
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let result = runner.run(&cases(), |case| {
            attempt(shape, *subject, &case).map_err(TestCaseError::fail)
        });
        if let Err(error) = result {
            failures.push(format!("pipeline p{n} of PIPEWRIGHT_SEED={seed}:\n{error}"));
        }
        if HUNG.load(Ordering::Relaxed) {
            break;
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{} pipelines failed",
        failures.join("\n\n"),
        failures.len()
    );
}

/// A dry run and a run with threads. One that hangs fails.
fn attempt(
    shape: &Shape,
    subject: &'static (dyn Subject + Sync),
    case: &Case,
) -> Result<(), String> {
    if HUNG.load(Ordering::Relaxed) {
        // What runs beside a run that hangs proves nothing.
        return Ok(());
    }
    let (plan, how) = setting(shape, case);
    for dry in [false, true] {
        let env = Env::new(shape, plan.clone());
        let pushed: Vec<_> = match shape.reads_input() {
            true => how.senders.iter().flat_map(Sender::pushes).collect(),
            false => Vec::new(),
        };
        let (theirs, run) = (env.clone(), how.clone());
        let outcome = within(HANGS, move || match dry {
            true => subject.dry(&theirs, &run),
            false => subject.run(&theirs, &run),
        });
        let kind = if dry { "dry run" } else { "run" };
        outcome
            .and_then(|outcome| check::check(&env, &outcome, &pushed))
            .map_err(|why| format!("{kind}: {why}\ntuning: {}", how.tuning))?;
    }
    Ok(())
}

/// What `work` gives, on a thread of its own, or an error if it takes too long.
#[allow(
    clippy::disallowed_methods,
    reason = "a scope would wait for a run that hangs"
)]
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // The receiver is gone if this took too long.
        let _ = tell.send(result);
    });
    match told.recv_timeout(time) {
        Ok(result) => {
            thread
                .join()
                .map_err(|_| "the thread of a run panicked".to_owned())?;
            result.unwrap_or_else(|_| Err("the run panicked".to_owned()))
        }
        Err(_) => {
            HUNG.store(true, Ordering::Relaxed);
            Err(format!("HANGS: no end after {time:?}"))
        }
    }
}

/// What a case means for a shape.
fn setting(shape: &Shape, case: &Case) -> (Plan, How) {
    let mut dice = Dice::new(case.seed);
    let mut plan = Plan {
        counts: Vec::new(),
        panics: Vec::new(),
        batches: Vec::new(),
        work: case.work,
    };
    let mut stages = Vec::new();
    // Stages of one loop wait alike.
    let wait = dice.fork(1).pick(&["spin", "adaptive", "park"]);
    for (at, stage) in shape.stages.iter().enumerate() {
        plan.counts.push(case.size * (50 + dice.roll() % 51) / 100);
        plan.panics
            .push(if dice.chance(60) { case.panics } else { 0 });
        let mut keys = Vec::new();
        let batch = dice
            .chance(40)
            .then(|| dice.pick(&[1u32, 2, 9, 100]))
            .filter(|_| case.tuned);
        let takes_batch = stage.form.is_batch() || stage.form.is_source();
        if let Some(batch) = batch.filter(|_| takes_batch) {
            keys.push(format!("batch: {batch}"));
        }
        // 64 is the default of batch stages.
        plan.batches.push(batch.or(stage.batch).unwrap_or(64));
        keys.extend(tuned(shape, at, &mut dice));
        keys.extend(stage.cores.map(|_| format!("wait: {wait}")));
        if !keys.is_empty() && case.tuned {
            stages.push(format!("\"s{at}\": ({})", keys.join(", ")));
        }
    }
    let quantum = match dice.chance(50) && case.tuned {
        true => format!("quantum: \"{}us\", ", dice.pick(&[1, 5, 64, 2000])),
        false => String::new(),
    };
    let senders = (0..case.senders).map(|id| Sender {
        id,
        items: case.size * (50 + dice.roll() % 51) / 100 / case.senders,
        seed: dice.roll(),
    });
    let how = How {
        workers: case.workers,
        divided: case.divided,
        senders: senders.collect(),
        tuning: format!("({quantum}stages: {{ {} }})", stages.join(", ")),
    };
    (plan, how)
}

/// Numbers of one stage, now and then, other than its batch.
fn tuned(shape: &Shape, at: usize, dice: &mut Dice) -> Vec<String> {
    let stage = &shape.stages[at];
    let mut keys = Vec::new();
    let linger = dice.pick(&["1us", "50us", "5ms"]);
    if dice.chance(40) && (stage.form.is_batch() || stage.state == State::Keyed) {
        keys.push(format!("linger: \"{linger}\""));
    }
    let idle = dice.pick(&["1us", "200us"]);
    if dice.chance(40) && stage.form == Form::Poll {
        keys.push(format!("idle: \"{idle}\""));
    }
    let queue = dice.pick(&[1, 16, 1024]);
    if dice.chance(40) && stage.from.contains(&pipewright_tests::shapes::Door::Input) {
        keys.push(format!("queue: {queue}"));
    }
    let lane = dice.pick(&["critical", "high", "normal", "low"]);
    if dice.chance(15) {
        keys.push(format!("priority: {lane}"));
    }
    keys
}

/// Keeps the panics that the stages are told to make out of the output.
fn silence_chosen_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.starts_with("chosen: ") {
                told(info);
            }
        }));
    });
}
