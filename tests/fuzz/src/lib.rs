//! What the fuzzers call, and what an ordinary test replays their corpora with.

#![forbid(unsafe_code)]

mod targets;

pub use targets::{TARGETS, dead_letters, tokens, tokens_in_one_way, topology, tuning};
