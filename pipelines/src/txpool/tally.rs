//! What the sinks keep: counts, the best transactions, and the first things that went wrong.
//!
//! A transaction ends exactly once, ranked or rejected, so the counts follow from the two ends alone. Nothing here
//! depends on the order of arrival.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256};
use pipewright::sink;

use super::{
    env::Env,
    reject::{Class, Reject, Step},
    summary::{Line, Summary},
    types::{Kind, RootMatched, Scored},
};

/// How many ranked transactions are kept: more than are shown, since a replaced one leaves.
const RANKED: usize = 1024;
/// How many faults are kept to be told one by one.
const FAULTS: usize = 20;

/// What came out of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// How far the run is.
    pub progress: Progress,
    kept: Mutex<Results>,
}

/// How far a run is; read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    transactions: AtomicU64,
}

impl Progress {
    pub(super) fn fed(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that the source has read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Transactions that were decided on.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Results {
    by_kind: BTreeMap<Kind, u64>,
    rejected: BTreeMap<&'static str, u64>,
    /// Rejected transactions, by how far they got.
    steps: BTreeMap<Step, u64>,
    roots_matched: u64,
    /// Blocks that ended in a verdict other than a matching root.
    blocks_rejected: u64,
    replaced: u64,
    failed: u64,
    /// By their places in the input, a block's before those of its transactions.
    faults: BTreeSet<(u64, Option<u32>, String)>,
    ranking: Ranking,
}

/// The sink of good transactions.
#[sink]
pub fn rank(scored: Scored, env: &Env) {
    env.tally.rank(&scored);
}

/// The sink of everything that was rejected, whatever stage did it.
#[sink]
pub fn reject(reject: Reject, env: &Env) {
    env.tally.reject(&reject);
}

/// The sink of blocks whose root matched.
#[sink]
pub fn roots(matched: RootMatched, env: &Env) {
    env.tally.matched(&matched);
}

impl Tally {
    fn rank(&self, scored: &Scored) {
        self.progress.transactions.fetch_add(1, Ordering::Relaxed);
        let mut results = self.results();
        *results.by_kind.entry(scored.kind).or_default() += 1;
        results.replaced += u64::from(scored.tx.replaces);
        results.ranking.insert(scored);
    }

    fn reject(&self, reject: &Reject) {
        let mut results = self.results();
        *results.rejected.entry(reject.reason.code()).or_default() += 1;
        if reject.index.is_some() {
            self.progress.transactions.fetch_add(1, Ordering::Relaxed);
            *results.steps.entry(reject.reason.step()).or_default() += 1;
        }
        results.blocks_rejected += u64::from(reject.reason.is_verdict());
        if reject.reason.class() != Class::Policy {
            results.fault(reject);
        }
    }

    fn matched(&self, _: &RootMatched) {
        self.results().roots_matched += 1;
    }

    /// What came out so far.
    pub fn summary(&self) -> Summary {
        let results = self.results();
        let kept: u64 = results.by_kind.values().sum();
        let beyond = |step| {
            kept + results
                .steps
                .range(step..)
                .map(|(_, count)| count)
                .sum::<u64>()
        };
        Summary {
            blocks: results.roots_matched + results.blocks_rejected,
            transactions: beyond(Step::Decode),
            hash_matched: beyond(Step::Recover),
            sender_matched: beyond(Step::Rules),
            roots_matched: results.roots_matched,
            rejected: results.rejected.clone(),
            by_kind: Kind::ALL
                .iter()
                .map(|kind| (kind.name(), results.by_kind.get(kind).copied().unwrap_or(0)))
                .collect(),
            replaced: results.replaced,
            best: results.ranking.best(),
            faults: results
                .faults
                .iter()
                .map(|(.., fault)| fault.clone())
                .collect(),
            failed: results.failed,
        }
    }

    /// A panic elsewhere leaves counts that are still true.
    fn results(&self) -> MutexGuard<'_, Results> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Results {
    /// Keeps the first faults of the input, in its order.
    fn fault(&mut self, reject: &Reject) {
        self.failed += 1;
        let at = (reject.block.origin.seq, reject.index);
        let full = self.faults.len() >= FAULTS;
        let last = self.faults.last().map(|(seq, index, _)| (*seq, *index));
        // Most faults of a bad file come too late to be told; they need no text.
        if full && last.is_some_and(|last| last < at) {
            return;
        }
        self.faults.insert((at.0, at.1, reject.to_string()));
        if self.faults.len() > FAULTS {
            self.faults.pop_last();
        }
    }
}

/// What a replacement is known by: view, sender and nonce.
type Slot = (u32, Address, u64);
/// Its place in the ranking: the tip, the best first, and the hash.
type Rank = (Reverse<u128>, B256);

/// The best transactions by tip; equal ones by hash, so that the order of arrival does not show.
#[derive(Debug, Default)]
struct Ranking {
    best: BTreeMap<Rank, (Line, Slot)>,
    /// Where a sender's transaction stands, for its replacement.
    places: BTreeMap<Slot, Rank>,
}

impl Ranking {
    fn insert(&mut self, scored: &Scored) {
        let signed = &scored.tx.signed;
        let slot = (
            signed.place.block.origin.view,
            signed.sender,
            signed.tx.nonce(),
        );
        let key = (Reverse(scored.tip), signed.hash);
        if let Some(old) = self.places.remove(&slot) {
            self.best.remove(&old);
        }
        let full = self.best.len() >= RANKED;
        if full
            && self
                .best
                .last_key_value()
                .is_some_and(|(worst, _)| *worst < key)
        {
            return;
        }
        // The same transaction again, from another pass over the input, keeps its one line.
        if let Entry::Vacant(entry) = self.best.entry(key) {
            entry.insert((Line::of(scored), slot));
            self.places.insert(slot, key);
        }
        if self.best.len() > RANKED
            && let Some((_, (_, slot))) = self.best.pop_last()
        {
            self.places.remove(&slot);
        }
    }

    fn best(&self) -> Vec<Line> {
        let lines = self.best.values().map(|(line, _)| line);
        lines.take(Summary::SHOWN).cloned().collect()
    }
}
