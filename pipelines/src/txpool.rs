//! Decides which Ethereum transactions a node may keep: the first half of any transaction-pool scanner.
//!
//! Blocks come in as JSON-RPC gives them out. Every transaction is decoded, encoded and hashed, its sender recovered
//! from its signature, its nonce checked against its sender's others; what is left is routed by kind and ranked by what
//! it pays. The input holds its own oracle: a transaction's `hash` and `from`, a block's `transactionsRoot`.

pub mod classify;
pub mod cli;
pub mod decode;
pub mod env;
pub mod feed;
mod fields;
#[cfg(test)]
mod flaky;
pub mod flow;
pub mod generate;
pub mod hash;
pub mod live;
pub mod parse;
mod progress;
pub mod recover;
pub mod reject;
pub mod root;
pub mod run;
pub mod score;
pub mod sender;
pub mod sequential;
mod split;
pub mod summary;
pub mod tally;
pub mod types;

#[cfg(test)]
mod tests;
