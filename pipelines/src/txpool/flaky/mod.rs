//! The pipeline with stages that call somebody who fails now and then: breakers, tries again, timeouts, rates, bulkheads, dead letters,
//! acknowledgements, futures, calls, overload, deadlines, changes of numbers and drains at any time, all together in one topology. Nothing
//! is lost, and nothing comes twice; what others push may be given back, or be late, and is counted.
//!
//! A tenth of the rounds by default, all of them with `PIPEWRIGHT_FULL=1`; `PIPEWRIGHT_SEED` repeats them.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    unnameable_types,
    reason = "pipelines of a test are written as users write theirs"
)]

mod others;
mod pipeline;
mod remote;

use std::{
    hash::{BuildHasher, RandomState},
    thread,
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use pipewright::{Report, Running};

use self::{
    others::{Others, Taken},
    pipeline::flaky,
    remote::Remote,
};
use super::{
    env::Env,
    feed::Input,
    tests::generated,
    types::{Origin, RawBlock},
};

/// Transactions of a round: some blocks.
const TRANSACTIONS: usize = 1_000;
/// Rounds of the full form.
const ROUNDS: u64 = 100;

fn raw(at: usize, text: &Bytes) -> RawBlock {
    let origin = Origin {
        file: "made".into(),
        seq: at as u64,
        view: 0,
    };
    RawBlock {
        origin,
        text: Ok(text.clone()),
    }
}

fn env(texts: &[Bytes]) -> Env {
    Env::new(vec![Input::Texts("made".into(), texts.into())], 1)
}

fn pause(random: &mut Rng, most_us: u64) {
    thread::park_timeout(Duration::from_micros(random.u64(0..most_us)));
}

/// What happened in all rounds.
#[derive(Debug, Default)]
struct Sum {
    /// Each ended by a drain, at any time.
    drains: u64,
    transactions: u64,
    commits: u64,
    letters: u64,
    /// Of those, the ones with which a stage panicked.
    panicked: u64,
    retried: u64,
    /// Changes of state of the breakers.
    opened: u64,
    timed_out: u64,
    futures: u64,
    /// Changes of numbers.
    retuned: u64,
    calls: u64,
    failed_calls: u64,
    pushed: u64,
    /// Of those that others asked or pushed, given back because there was no room.
    refused: u64,
    /// Of those that others pushed, dropped because their time was up.
    expired: u64,
}

impl Sum {
    fn add(&mut self, report: &Report<flaky::Pipeline>, taken: &Taken) {
        for stage in report.metrics().stages() {
            if let Some(guard) = &stage.guard {
                self.retried += guard.retried;
                self.opened += guard.breaker.changes;
                self.timed_out += guard.timed_out;
            }
            if let Some(flights) = &stage.flights {
                assert_eq!(flights.in_flight, 0, "{report}");
                self.futures += flights.begun;
            }
        }
        self.expired += report.ledger().dropped_by.expired;
        self.calls += taken.calls;
        self.failed_calls += taken.failed;
        self.pushed += taken.pushed;
        self.refused += taken.refused;
        self.drains += 1;
    }

    /// What must happen at all, or the rounds show nothing.
    fn happened(&self) -> bool {
        [
            self.letters,
            self.retried,
            self.opened,
            self.timed_out,
            self.panicked,
            self.retuned,
            self.failed_calls,
            self.refused,
            self.calls,
            self.pushed,
        ]
        .iter()
        .all(|times| *times > 0)
    }
}

/// Numbers that fit, of the run and of its stages.
fn numbers(random: &mut Rng) -> String {
    let open = random.u64(10..20);
    let breaker = format!(
        "breaker: (min_items: {}, failure_pct: {}, open: \"{open}ms\", open_max: \"{}ms\", probes: {})",
        random.u64(5..20),
        random.u64(10..50),
        open + random.u64(0..10),
        random.u64(1..6),
    );
    format!(
        "(quantum: \"{}us\", memory: \"{}Ki\", stages: {{
            \"enrich\": (timeout: \"{}ms\", {breaker}),
            \"vet\": (rate: \"{}k/s\", retry: (max: {}, backoff: \"{}us\")),
            \"record\": (timeout: \"{}ms\"),
        }})",
        random.u64(1..200),
        1u64 << random.u32(6..14),
        random.u64(10..40),
        random.u64(100..900),
        random.u64(2..6),
        random.u64(1..500),
        random.u64(10..40),
    )
}

/// Changes numbers now and then, and lets time pass.
fn meddle(run: &Running<flaky::Pipeline>, random: &mut Rng, sum: &mut Sum) {
    for _ in 0..random.u64(0..8) {
        let text = numbers(random);
        if let Err(wrong) = run.retune("by the seed", &text) {
            panic!("{text}: {wrong}");
        }
        sum.retuned += 1;
        pause(random, 4_000);
    }
}

/// Runs until all blocks are done, and drains each run at any time while its numbers change, others call it, and others push more than
/// there is room for.
fn round(random: &mut Rng, texts: &[Bytes], others: &Others, sum: &mut Sum) {
    Remote::begin(random.u64(..));
    let mut others = others.begin();
    let env_of_all = env(texts);
    let tally = env_of_all.tally.clone();
    let position = || Remote::with(|remote| remote.position);
    let (mut taken_in, mut lost) = (0, 0);
    while position() < texts.len() {
        let before = position();
        let mut own = env(texts);
        own.tally = tally.clone();
        let builder = flaky::pipeline().workers(random.usize(1..=3));
        let run = builder.start(own).expect("it starts");
        let (taken, report) = thread::scope(|scope| {
            let threads = others.come(scope, &run);
            meddle(&run, random, sum);
            let report = run.drain().expect("nothing fails it");
            (threads.join(), report)
        });
        let ledger = report.ledger();
        let blocks = (position() - before) as u64;
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(
            (ledger.received, ledger.in_flight),
            (blocks + taken.all(), 0),
            "{report}"
        );
        // Of the blocks nothing is dropped: what is, others pushed with little time.
        assert_eq!(ledger.dropped, ledger.dropped_by.expired, "{report}");
        assert!(ledger.dropped <= taken.pushed, "{report}");
        (taken_in, lost) = (taken_in + taken.all(), lost + ledger.dropped);
        sum.add(&report, &taken);
    }
    let Remote {
        mut letters,
        commits,
        panics,
        ..
    } = Remote::with(std::mem::take);
    let (all, given_up) = (tally.progress.transactions(), letters.len() as u64);
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len() as u64, given_up, "a letter came twice");
    // Each transaction is ranked, rejected or a letter, once; each block has its verdict.
    assert_eq!(all + given_up, TRANSACTIONS as u64 + taken_in - lost);
    let summary = tally.summary();
    let blocks = texts.len() as u64;
    assert_eq!((summary.blocks, summary.roots_matched), (blocks, blocks));
    assert!(summary.is_good(), "{summary:?}");
    sum.transactions += all + given_up;
    sum.letters += given_up;
    sum.commits += commits;
    sum.panicked += panics;
}

#[test]
fn a_flaky_enrichment_loses_no_transaction_and_repeats_none() {
    let seed = std::env::var("PIPEWRIGHT_SEED").ok();
    let seed = seed.map(|text| text.parse().expect("PIPEWRIGHT_SEED is a number"));
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    println!("txpool: PIPEWRIGHT_SEED={seed}");
    let rounds = match std::env::var_os("PIPEWRIGHT_FULL") {
        Some(_) => ROUNDS,
        None => ROUNDS / 10,
    };
    remote::quiet();
    let (mut random, mut sum) = (Rng::with_seed(seed), Sum::default());
    let texts = generated(random.u64(..), TRANSACTIONS);
    let others = Others::new(random.u64(..));
    for _ in 0..rounds {
        round(&mut random, &texts, &others, &mut sum);
    }
    println!("txpool: {rounds} rounds, 0 lost, 0 twice, {sum:?}");
    assert!(sum.happened(), "{sum:?}");
}
