//! pipewright's prefetching iterator, with no distance named: the row `pipewright, prefetching iterator` is made here, once
//! users can call it.

use std::sync::Arc;

use super::Gather;
use crate::harness::Contender;

/// No row yet: the goals of these cases are `not measured`. A row gathers in the table's random order and gives `expected`.
pub(super) fn contenders(_: &Arc<Gather>, _expected: u64) -> Vec<Contender> {
    Vec::new()
}
