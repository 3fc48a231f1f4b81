//! The RON readers: a topology for the compiler, a tuning file for the runtime.
//!
//! A text is parsed by the `ron` crate into a tree of values that know their places. Where it is not
//! RON there is one problem; what it says is then checked as a whole, and every problem is reported.
//! A text may be hostile: its size, its depth and its numbers are bounded.

mod fields;
mod syntax;
mod topology;
mod tree;
mod tuning;

#[cfg(test)]
mod tests;

pub use syntax::MAX_BYTES;
pub use topology::topology;
pub use tuning::{StageTuning, TuningFile, tuning, tuning_of};
