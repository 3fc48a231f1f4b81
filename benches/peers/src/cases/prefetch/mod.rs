//! `prefetch_*`: records of 64 bytes are gathered from a table of 256 MiB in a random order; the body adds up their words
//! (light) or computes for some 45 ns with each (work); the table is on 4 KiB pages or on huge ones.

mod ours;

use std::sync::Arc;

use pipewright_peers_raw::pages::{Record, Table, prefetch};

use crate::harness::{Contender, Sample, Scale, contender::Kind};

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Light,
    Work,
}

impl Body {
    /// The state after a record.
    #[inline(always)]
    fn run(self, state: u64, record: &Record) -> u64 {
        let sum = record
            .0
            .iter()
            .fold(0, |sum: u64, word| sum.wrapping_add(*word));
        match self {
            Body::Light => state.wrapping_add(sum),
            // A chain that needs the record before it can begin, and that the next record has to wait for. The shift keeps
            // the compiler from folding the steps into one.
            Body::Work => (0..30).fold(state ^ sum, |state, _| {
                (state ^ (state >> 29)).wrapping_mul(0x5851_F42D_4C95_7F2D)
            }),
        }
    }
}

/// A table, and the order in which it is read.
struct Gather {
    scale: Scale,
    body: Body,
    table: Table,
    order: Vec<u32>,
}

impl Gather {
    /// Reads in the random order, asking for the record `AHEAD` places further on.
    #[inline(always)]
    fn ahead<const AHEAD: usize>(&self, body: Body) -> u64 {
        let mut state = 0;
        let last = self.order.len() - 1;
        for (at, index) in self.order.iter().enumerate() {
            let next = self.order[last.min(at + AHEAD)];
            prefetch(&self.table[next as usize]);
            state = body.run(state, &self.table[*index as usize]);
        }
        state
    }

    /// Reads in the random order.
    #[inline(always)]
    fn plain(&self, body: Body) -> u64 {
        let records = self.order.iter().map(|index| &self.table[*index as usize]);
        records.fold(0, |state, record| body.run(state, record))
    }

    /// Reads as many records in the order of the memory, which the hardware prefetches.
    #[inline(always)]
    fn in_order(&self, body: Body) -> u64 {
        let records = self.table.iter().take(self.order.len());
        records.fold(0, |state, record| body.run(state, record))
    }

    /// The body is a constant in each of two loops, not a question for each record.
    fn nanos(&self, expected: u64, run: impl Fn(&Self, Body) -> u64) -> Result<Sample, String> {
        let count = self.order.len() as u64;
        match self.body {
            Body::Light => self
                .scale
                .nanos(count, &expected, || run(self, Body::Light)),
            Body::Work => self.scale.nanos(count, &expected, || run(self, Body::Work)),
        }
    }
}

pub(crate) fn contenders(scale: Scale, body: Body, huge: bool) -> Vec<Contender> {
    let records = scale.of(4 << 20, 4 << 10);
    let record = |at: usize| {
        let word = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Record(std::array::from_fn(|k| word.rotate_left(8 * k as u32)))
    };
    let table = match Table::new(records, huge, record) {
        Ok(table) => table,
        Err(error) => return skipped(&format!("the system gives no such table: {error}")),
    };
    // The order is the same in every run, so that runs can be compared.
    let mut order: Vec<u32> = (0..records as u32).collect();
    fastrand::Rng::with_seed(17).shuffle(&mut order);
    order.truncate(match body {
        Body::Light => records,
        Body::Work => records / 4,
    });
    let gather = Arc::new(Gather {
        scale,
        body,
        table,
        order,
    });
    rows(&gather)
}

const IN_ORDER: &str = "in memory order (hardware prefetch)";
const NO_PREFETCH: &str = "no prefetch";
const AHEAD: [&str; 6] = [
    "prefetch 1 ahead",
    "prefetch 2 ahead",
    "prefetch 4 ahead",
    "prefetch 8 ahead",
    "prefetch 16 ahead",
    "prefetch 32 ahead",
];

/// All rows, where the table cannot be had.
fn skipped(why: &str) -> Vec<Contender> {
    let row = |kind, name| Contender::skipped(kind, name, why);
    let ahead = AHEAD.iter().map(|name| row(Kind::Peer, *name));
    let all = [
        row(Kind::Ours, ours::NAME),
        row(Kind::Limit, IN_ORDER),
        row(Kind::Peer, NO_PREFETCH),
    ];
    all.into_iter().chain(ahead).collect()
}

fn rows(gather: &Arc<Gather>) -> Vec<Contender> {
    let (shuffled, ordered) = (gather.plain(gather.body), gather.in_order(gather.body));
    let mut all = ours::contenders(gather, shuffled);
    let same = Arc::clone(gather);
    all.push(Contender::limit(IN_ORDER, move || {
        same.nanos(ordered, Gather::in_order)
    }));
    let mut peer = |name, run: fn(&Gather, u64) -> Result<Sample, String>| {
        let gather = Arc::clone(gather);
        all.push(Contender::peer(name, move || run(&gather, shuffled)));
    };
    peer(NO_PREFETCH, |gather, sum| gather.nanos(sum, Gather::plain));
    peer(AHEAD[0], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<1>)
    });
    peer(AHEAD[1], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<2>)
    });
    peer(AHEAD[2], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<4>)
    });
    peer(AHEAD[3], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<8>)
    });
    peer(AHEAD[4], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<16>)
    });
    peer(AHEAD[5], |gather, sum| {
        gather.nanos(sum, Gather::ahead::<32>)
    });
    all
}
