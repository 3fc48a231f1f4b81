//! The harness: contenders of a case take turns in one process, every result is checked, and every ratio is one of the
//! same run.

pub(crate) mod catalogue;
pub(crate) mod contender;
pub(crate) mod json;
pub(crate) mod machine;
pub(crate) mod rounds;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod threads;
pub(crate) mod verdict;

#[cfg(test)]
mod verdict_tests;

pub(crate) use catalogue::Case;
pub(crate) use contender::{Contender, Sample, Scale, same};
