//! The pipeline with a stage that calls somebody who fails now and then: breaker, tries again, timeout, rate, dead letters,
//! acknowledgements, calls, changes of numbers and drains at any time, all together. Nothing is lost, and nothing comes twice.
//!
//! A tenth of the rounds by default, all of them with `PIPEWRIGHT_FULL=1`; `PIPEWRIGHT_SEED` repeats them.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use alloy_primitives::B256;
use bytes::Bytes;
use fastrand::Rng;
use pipewright::{
    Acknowledge, CallError, Classify, Commit, DeadLetter, Emit, ErrorClass, Flow, pipeline,
};

use super::{
    env::Env,
    feed::Input,
    parse::parse,
    reject::Reject,
    tests::generated,
    types::{Origin, Piece, RawBlock, RawTx, Recovered},
};

/// Transactions of a round: some blocks.
const TRANSACTIONS: usize = 1_000;
/// Rounds of the full form.
const ROUNDS: u64 = 100;
/// Whom is called is down for the last 20 of so many calls.
const DOWN: u64 = 150;

/// What the rounds, which are one after the other, share with stages that see nothing but the product's environment.
static REMOTE: Mutex<Option<Remote>> = Mutex::new(None);

/// Whom the stage calls, where the source is, and what was given up.
#[derive(Debug, Default)]
struct Remote {
    seed: u64,
    calls: u64,
    tried: HashMap<B256, u32>,
    /// Hashes of the dead letters.
    letters: Vec<B256>,
    position: usize,
    commits: u64,
}

impl Remote {
    fn with<R>(of: impl FnOnce(&mut Self) -> R) -> R {
        let mut remote: MutexGuard<'_, Option<Self>> =
            REMOTE.lock().unwrap_or_else(PoisonError::into_inner);
        of(remote.get_or_insert_default())
    }

    /// Bad for one transaction in 97, always; and fails for one in 17 at first, and for any while it is down.
    fn call(&mut self, hash: &B256) -> Result<(), Unavailable> {
        let tries = self.tried.entry(*hash).or_default();
        *tries += 1;
        let own = hash.as_slice().iter().take(8);
        let own = own.fold(self.seed, |own, byte| {
            own.wrapping_mul(257) ^ u64::from(*byte)
        });
        if own.is_multiple_of(97) {
            return Err(Unavailable(ErrorClass::Item));
        }
        self.calls += 1;
        let is_down = self.calls % DOWN >= DOWN - 20;
        match is_down || own.is_multiple_of(17) && *tries == 1 {
            true => Err(Unavailable(ErrorClass::Dependency)),
            false => Ok(()),
        }
    }
}

/// Whom the stage calls gave no answer.
#[derive(Clone, Debug)]
pub struct Unavailable(ErrorClass);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer: {:?}", self.0)
    }
}

impl Classify for Unavailable {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// What a stage before refused is refused in a call.
impl From<Reject> for Unavailable {
    fn from(_: Reject) -> Self {
        Self(ErrorClass::Item)
    }
}

/// The texts of the environment, from where the last run ended.
pub struct Texts {
    texts: Vec<Bytes>,
    next: usize,
}

/// Keeps where the next run begins.
pub struct Committer;

impl Acknowledge for Texts {
    type Position = usize;
    type Committer = Committer;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Committer, Infallible> {
        Ok(Committer)
    }

    fn position(&self) -> usize {
        self.next
    }
}

impl Commit<usize> for Committer {
    type Error = Infallible;

    fn commit(&mut self, position: usize) -> Result<(), Infallible> {
        Remote::with(|remote| {
            assert!(remote.position < position, "positions go on");
            remote.position = position;
            remote.commits += 1;
        });
        Ok(())
    }
}

/// The pipeline of the product, and the stage in it.
#[pipeline("flaky.ron", env = Env)]
pub mod flaky {
    use super::*;
    use crate::txpool::{
        classify::classify,
        decode::decode,
        hash::hash,
        parse::parse,
        recover::recover,
        root::{collect, missing, part, root},
        score::{score_blob, score_call, score_creation, score_swap, score_transfer},
        sender::sender,
        tally::{rank, reject, roots},
    };

    fn open(env: &Env) -> Texts {
        let Some(Input::Texts(_, texts)) = env.inputs.first() else {
            panic!("the test gives texts");
        };
        Texts {
            texts: texts.to_vec(),
            next: Remote::with(|remote| remote.position),
        }
    }

    #[source(state = open, acks)]
    pub fn texts(from: &mut Texts, out: &mut Emit<RawBlock>) -> Flow {
        let Some(text) = from.texts.get(from.next) else {
            return Flow::Done;
        };
        out.send(raw(from.next, text));
        from.next += 1;
        Flow::More
    }

    #[stage]
    pub fn enrich(tx: Recovered) -> Result<Recovered, Unavailable> {
        Remote::with(|remote| remote.call(&tx.hash)).map(|()| tx)
    }

    #[sink]
    pub fn letters(letter: DeadLetter<Unavailable, Recovered>) {
        assert_eq!(letter.stage, "enrich");
        Remote::with(|remote| remote.letters.push(letter.item.hash));
    }
}

/// The same stage on the way of requests.
#[pipeline(env = Env, reply = enrich)]
pub mod asked {
    use super::*;
    use crate::txpool::{self, types::Decoded};

    #[stage(from = input)]
    pub fn decode(raw: RawTx) -> Result<Decoded, Reject> {
        txpool::decode::decode(raw)
    }

    #[stage(from = decode)]
    pub fn check(decoded: Decoded) -> Result<Recovered, Reject> {
        txpool::recover::recover(txpool::hash::hash(decoded)?)
    }

    #[stage(from = check, rate = "500k/s", breaker(
        window = 20, min_items = 10, failure_pct = 25, probes = 3, open = "10ms", open_max = "10ms", ramp = "1ms"
    ))]
    pub fn enrich(tx: Recovered) -> Result<Recovered, Unavailable> {
        Remote::with(|remote| remote.call(&tx.hash)).map(|()| tx)
    }

    #[sink(from = enrich)]
    pub fn done(_: Recovered) {}

    #[sink(from = [decode::Err, check::Err])]
    pub fn refused(_: Reject) {}

    #[sink(from = enrich::Err)]
    pub fn failed(_: Unavailable) {}
}

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
    runs: u64,
    transactions: u64,
    letters: u64,
    retried: u64,
    changes: u64,
    retuned: u64,
    calls: u64,
    failed_calls: u64,
}

/// Runs until all blocks are done, and drains each run at any time while its numbers change.
fn round(random: &mut Rng, texts: &[Bytes], sum: &mut Sum) {
    Remote::with(|remote| {
        *remote = Remote {
            seed: random.u64(..),
            ..Remote::default()
        };
    });
    let env_of_all = env(texts);
    let tally = env_of_all.tally.clone();
    while Remote::with(|remote| remote.position) < texts.len() {
        let before = Remote::with(|remote| remote.position);
        let mut own = env(texts);
        own.tally = tally.clone();
        let builder = flaky::pipeline().workers(random.usize(1..=3));
        let run = builder.start(own).expect("it starts");
        for _ in 0..random.u64(0..8) {
            let text = format!(
                "(quantum: \"{}us\", memory: \"{}Ki\")",
                random.u64(1..200),
                1u64 << random.u32(6..14),
            );
            run.retune("by the seed", &text).expect("it fits");
            sum.retuned += 1;
            pause(random, 4_000);
        }
        let report = run.drain().expect("nothing fails it");
        let ledger = report.ledger();
        let taken = (Remote::with(|remote| remote.position) - before) as u64;
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(
            (ledger.received, ledger.dropped, ledger.panicked),
            (taken, 0, 0),
            "{report}"
        );
        let guard = report.metrics().stage::<flaky::enrich>().guard.clone();
        let guard = guard.expect("it is guarded");
        sum.retried += guard.retried;
        sum.changes += guard.breaker.changes;
        sum.runs += 1;
    }
    let mut letters = Remote::with(|remote| std::mem::take(&mut remote.letters));
    sum.letters += letters.len() as u64;
    let (all, given_up) = (tally.progress.transactions(), letters.len() as u64);
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len() as u64, given_up, "a letter came twice");
    // Each transaction is ranked, rejected or a letter, once; each block has its verdict.
    assert_eq!(all + given_up, TRANSACTIONS as u64);
    let summary = tally.summary();
    let blocks = texts.len() as u64;
    assert_eq!((summary.blocks, summary.roots_matched), (blocks, blocks));
    assert!(summary.is_good(), "{summary:?}");
    sum.transactions += all + given_up;
}

/// Requests from two threads, each of which is answered.
fn calls(random: &mut Rng, texts: &[Bytes], sum: &mut Sum) {
    Remote::with(|remote| {
        *remote = Remote {
            seed: random.u64(..),
            ..Remote::default()
        };
    });
    let pieces = texts
        .iter()
        .enumerate()
        .flat_map(|(at, text)| parse(raw(at, text)));
    let requests = pieces.filter_map(|piece| match piece {
        Piece::Tx(tx) => Some(tx),
        _ => None,
    });
    let requests: Vec<RawTx> = requests.take(200).collect();
    let run = asked::pipeline()
        .workers(2)
        .start(env(texts))
        .expect("it starts");
    let (answered, failed) = thread::scope(|scope| {
        let ask = |half: &[RawTx]| {
            let (caller, half) = (run.caller(), half.to_vec());
            scope.spawn(move || {
                let (mut answered, mut failed) = (0, 0);
                for request in half {
                    match caller.call(request) {
                        Ok(_) => answered += 1,
                        Err(CallError::Failed {
                            stage: "enrich", ..
                        }) => failed += 1,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                (answered, failed)
            })
        };
        let (left, right) = requests.split_at(requests.len() / 2);
        let threads = [ask(left), ask(right)];
        let all = threads.map(|thread| thread.join().expect("all are answered"));
        (all[0].0 + all[1].0, all[0].1 + all[1].1)
    });
    let report = run.drain().expect("nothing fails it");
    let ledger = report.ledger();
    assert!(ledger.is_balanced() && ledger.dropped == 0, "{report}");
    assert_eq!(answered + failed, requests.len() as u64);
    assert_eq!(
        (ledger.received, ledger.failed),
        (answered + failed, failed),
        "{report}"
    );
    sum.calls += answered + failed;
    sum.failed_calls += failed;
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
    let (mut random, mut sum) = (Rng::with_seed(seed), Sum::default());
    let texts = generated(random.u64(..), TRANSACTIONS);
    for _ in 0..rounds {
        round(&mut random, &texts, &mut sum);
        calls(&mut random, &texts, &mut sum);
    }
    println!("txpool: {rounds} rounds, 0 lost, 0 twice, {sum:?}");
    let happened = [
        sum.letters,
        sum.retried,
        sum.changes,
        sum.retuned,
        sum.failed_calls,
    ];
    assert!(happened.iter().all(|times| *times > 0), "{sum:?}");
}
