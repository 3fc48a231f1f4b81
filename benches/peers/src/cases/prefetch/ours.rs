//! pipewright's prefetching iterator, which is told no distance.

use std::sync::Arc;

use pipewright::prefetch::PrefetchExt as _;

use super::{Body, Gather};
use crate::harness::Contender;

pub(super) const NAME: &str = "pipewright, prefetching iterator";

#[inline(always)]
fn gathered(gather: &Gather, body: Body) -> u64 {
    let records = gather.order.iter().map(|at| &gather.table[*at as usize]);
    records
        .prefetching_targets()
        .fold(0, |state, record| body.run(state, record))
}

/// Gathers in the table's random order, which gives `expected`.
pub(super) fn contenders(gather: &Arc<Gather>, expected: u64) -> Vec<Contender> {
    let gather = Arc::clone(gather);
    vec![Contender::ours(NAME, move || {
        gather.nanos(expected, gathered)
    })]
}
