//! The values that travel through the pipeline.
//!
//! Every one owns its data and is cheap to move: texts are slices of one shared buffer, a block's head and a decoded
//! transaction are shared.

use std::sync::Arc;

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_primitives::{Address, B256};
use bytes::Bytes;

use super::reject::Reject;

/// A signed transaction of any type a block can hold.
pub type Tx = EthereumTxEnvelope<TxEip4844>;

/// Where a block's text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file as it was named on the command line.
    pub file: Arc<str>,
    /// Position among all texts of the run, from 0; no two are equal.
    pub seq: u64,
    /// Number of the stretch of consecutive blocks that this one belongs to; see [`feed`](super::feed).
    pub view: u32,
}

/// One block as it was read, not yet looked at.
#[derive(Debug, Clone)]
pub struct RawBlock {
    /// Where it came from.
    pub origin: Origin,
    /// Its JSON text, or why it could not be read.
    pub text: Result<Bytes, String>,
}

/// What the transactions of one block share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHead {
    /// Where it came from.
    pub origin: Origin,
    /// The block's number, where its text has one.
    pub number: Option<u64>,
    /// The price of gas that is burnt; blocks before London have none.
    pub base_fee: Option<u64>,
    /// What the block says its transactions hash to.
    pub transactions_root: Option<B256>,
    /// How many transactions were found in its text.
    pub transactions: u32,
    /// Whether the text was read to its end.
    pub whole: bool,
}

/// A transaction's place in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its block.
    pub block: Arc<BlockHead>,
    /// Its index in the block.
    pub index: u32,
}

/// What a block's text holds; the variants are the doors of `parse`.
#[derive(Debug)]
pub enum Piece {
    /// A transaction.
    Tx(RawTx),
    /// A block without transactions: all that is left to check is its root.
    Empty(WholeBlock),
    /// A text that is not a block, or not all of one.
    Bad(Reject),
}

/// The text of one transaction.
#[derive(Debug, Clone)]
pub struct RawTx {
    /// Where it stands.
    pub place: Place,
    /// Its JSON text.
    pub text: Bytes,
}

/// A transaction in its typed form, with what its text claims about it.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Where it stands.
    pub place: Place,
    /// The hash that the text claims.
    pub hash: B256,
    /// The sender that the text claims.
    pub from: Address,
    /// The transaction.
    pub tx: Arc<Tx>,
}

/// A transaction whose hash is what its text claims.
#[derive(Debug, Clone)]
pub struct Hashed {
    /// Where it stands.
    pub place: Place,
    /// Its hash.
    pub hash: B256,
    /// The sender that the text claims.
    pub from: Address,
    /// The transaction.
    pub tx: Arc<Tx>,
    /// The transaction as the network and the trie know it (EIP-2718).
    pub encoded: Bytes,
}

/// A transaction whose signature is its sender's.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Where it stands.
    pub place: Place,
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// The transaction.
    pub tx: Arc<Tx>,
}

/// A transaction that a node may keep.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What was checked.
    pub signed: Recovered,
    /// Whether it takes the place of an earlier one with the same nonce.
    pub replaces: bool,
}

/// What a transaction is for; the variants are the doors of `classify`.
#[derive(Debug)]
pub enum Routed {
    /// Moves value and calls nothing.
    Transfer(Kept),
    /// Calls a contract.
    Call(Kept),
    /// Creates a contract.
    Creation(Kept),
    /// Carries blobs.
    Blob(Kept),
    /// Calls a function that is known to trade.
    Swap(Swap),
}

/// A call of a known trading function.
#[derive(Debug)]
pub struct Swap {
    /// The transaction.
    pub tx: Kept,
    /// The function, as `family function`.
    pub function: &'static str,
}

/// The kinds, as the summary counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Moves value and calls nothing.
    Transfer,
    /// Calls a contract.
    Call,
    /// Creates a contract.
    Creation,
    /// Carries blobs.
    Blob,
    /// Calls a function that is known to trade.
    Swap,
}

impl Kind {
    /// All of them, in the order of the summary.
    pub const ALL: [Self; 5] = [
        Self::Transfer,
        Self::Call,
        Self::Creation,
        Self::Blob,
        Self::Swap,
    ];

    /// The word in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Call => "call",
            Self::Creation => "creation",
            Self::Blob => "blob",
            Self::Swap => "swap",
        }
    }
}

/// A kept transaction and what it is worth to whoever builds the next block.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The transaction.
    pub tx: Kept,
    /// What it is for.
    pub kind: Kind,
    /// What the block's builder earns per gas at the block's base fee, in wei.
    pub tip: u128,
    /// The trading function, of a swap.
    pub function: Option<&'static str>,
}

/// One transaction's part in its block's trie.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it stands.
    pub place: Place,
    /// The encoded transaction; nothing if it was rejected before it could be encoded.
    pub encoded: Option<Bytes>,
}

/// All transactions of a block, in order.
#[derive(Debug, Clone)]
pub struct WholeBlock {
    /// The block.
    pub block: Arc<BlockHead>,
    /// One for each of its transactions.
    pub encoded: Vec<Option<Bytes>>,
}

/// A block whose transactions hash to what it says.
#[derive(Debug, Clone)]
pub struct RootMatched {
    /// The block.
    pub block: Arc<BlockHead>,
}
