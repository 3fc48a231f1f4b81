//! pipewright's prefetching iterator, which is told no distance.

use std::sync::Arc;

use pipewright::prefetch::PrefetchExt as _;

use super::{Body, Gather};
use crate::harness::Contender;

pub(super) const NAME: &str = "pipewright, prefetching iterator";

#[inline(always)]
fn gathered(gather: &Gather, body: Body) -> u64 {
    let records = gather.order.iter().map(|at| &gather.table[*at as usize]);
    let records = records.prefetching_targets();
    // A loop for each body, so that here too the body is a constant in it and not a question for each record.
    match body {
        Body::Light => records.fold(0, |state, record| Body::Light.run(state, record)),
        Body::Work => records.fold(0, |state, record| Body::Work.run(state, record)),
    }
}

/// Gathers in the table's random order, which gives `expected`.
pub(super) fn contenders(gather: &Arc<Gather>, expected: u64) -> Vec<Contender> {
    let gather = Arc::clone(gather);
    vec![Contender::ours(NAME, move || {
        gather.nanos(expected, gathered)
    })]
}
