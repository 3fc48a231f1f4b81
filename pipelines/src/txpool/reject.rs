//! Why something was rejected, and where it stood.

use std::{fmt, sync::Arc};

use alloy_primitives::{Address, B256};

use super::types::{BlockHead, Place};

/// Something that does not go into the pool, with its place and its reason.
///
/// It is the one error type of the pipeline's stages, so that one sink reads all of their `Err` doors.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Reject {
    /// The block it concerns, or as much of it as was read.
    pub block: Arc<BlockHead>,
    /// The transaction's index; nothing if it concerns the block.
    pub index: Option<u32>,
    /// Why.
    pub reason: Reason,
}

impl Reject {
    /// Rejects a transaction.
    pub fn tx(place: Place, reason: Reason) -> Self {
        Self {
            block: place.block,
            index: Some(place.index),
            reason,
        }
    }

    /// Rejects a block.
    pub fn block(block: Arc<BlockHead>, reason: Reason) -> Self {
        Self {
            block,
            index: None,
            reason,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block.origin.file)?;
        if let Some(number) = self.block.number {
            write!(f, ", block {number}")?;
        }
        if let Some(index) = self.index {
            write!(f, ", transaction {index}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why something was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file holds nothing.
    #[error("is empty")]
    Empty,
    /// The text ends too early.
    #[error("ends before its JSON does; whole transactions found in it: {found}")]
    Truncated {
        /// Transactions before the end.
        found: u32,
    },
    /// The text is not JSON.
    #[error("is not JSON: {detail}; whole transactions found before that: {found}")]
    NotJson {
        /// What is wrong, and where.
        detail: String,
        /// Transactions before the fault.
        found: u32,
    },
    /// The text is JSON, but not a block.
    #[error("is not a block: {0}")]
    NotABlock(String),
    /// A transaction is not a JSON object with the fields of one.
    #[error("is not a transaction: {0}")]
    NotATransaction(String),
    /// A transaction is given by its hash.
    #[error(
        "is only a hash; ask for the block with full transactions (`eth_getBlockByNumber` with `true`)"
    )]
    OnlyAHash,
    /// A field that must be there is not.
    #[error("has no `{0}`")]
    MissingField(&'static str),
    /// A field has a value that it cannot have.
    #[error("`{field}` {detail}")]
    BadField {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A transaction type that nobody here knows.
    #[error("has the unknown type {0}")]
    UnknownType(u64),
    /// The transaction does not hash to what its text claims.
    #[error("hashes to {computed}, not to {claimed}: a field or the signature was changed")]
    WrongHash {
        /// What the text says.
        claimed: B256,
        /// What it is.
        computed: B256,
    },
    /// The signature is nobody's.
    #[error("has a signature that is nobody's: {0}")]
    BadSignature(&'static str),
    /// The signature is somebody else's.
    #[error("is signed by {recovered}, not by {claimed}")]
    WrongSender {
        /// What the text says.
        claimed: Address,
        /// Who it is.
        recovered: Address,
    },
    /// The transactions do not hash to what the block claims.
    #[error("its transactions hash to {computed}, not to {claimed}")]
    WrongRoot {
        /// What the block says.
        claimed: B256,
        /// What it is.
        computed: B256,
    },
    /// The block does not say what its transactions hash to.
    #[error("has no readable `transactionsRoot` to check its transactions against")]
    NoRoot,
    /// Some of the block's transactions were rejected before they could be encoded.
    #[error("its root cannot be checked: {missing} of its {of} transactions are bad")]
    Incomplete {
        /// How many.
        missing: u32,
        /// Out of how many.
        of: u32,
    },
    /// The nonce was used before.
    #[error("nonce {nonce} is used: {next} is next")]
    NonceTooLow {
        /// The transaction's.
        nonce: u64,
        /// The sender's next one.
        next: u64,
    },
    /// The nonce skips others.
    #[error("nonce {nonce} leaves a gap: {next} is next")]
    NonceGap {
        /// The transaction's.
        nonce: u64,
        /// The sender's next one.
        next: u64,
    },
    /// Another transaction has this nonce, and this one does not pay enough to replace it.
    #[error("does not pay {bump} % more than the transaction with the same nonce, {nonce}")]
    Underpriced {
        /// The nonce of both.
        nonce: u64,
        /// What a replacement must pay more, in percent.
        bump: u8,
    },
    /// It pays less than what is burnt.
    #[error("pays at most {max_fee} wei per gas; the base fee is {base_fee}")]
    FeeBelowBase {
        /// The most it pays.
        max_fee: u128,
        /// What is burnt.
        base_fee: u64,
    },
}

/// What a reject says about the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The input is broken: the run fails.
    Input,
    /// The input contradicts itself: the run fails.
    Oracle,
    /// The pool's own rules: what a pool is for.
    Policy,
}

/// How far a transaction got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Not even decoded.
    Decode,
    /// Decoded, but its hash is not what it should be.
    Hash,
    /// Hashed, but its sender is not who it should be.
    Recover,
    /// Genuine, but not wanted.
    Rules,
}

impl Reason {
    /// The word in the summary.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Empty => "empty",
            Self::Truncated { .. } => "truncated",
            Self::NotJson { .. } => "not_json",
            Self::NotABlock(_) => "not_a_block",
            Self::NotATransaction(_) => "not_a_transaction",
            Self::OnlyAHash => "only_a_hash",
            Self::MissingField(_) => "missing_field",
            Self::BadField { .. } => "bad_field",
            Self::UnknownType(_) => "unknown_type",
            Self::WrongHash { .. } => "wrong_hash",
            Self::BadSignature(_) => "bad_signature",
            Self::WrongSender { .. } => "wrong_sender",
            Self::WrongRoot { .. } => "wrong_root",
            Self::NoRoot => "no_root",
            Self::Incomplete { .. } => "incomplete_block",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceGap { .. } => "nonce_gap",
            Self::Underpriced { .. } => "underpriced",
            Self::FeeBelowBase { .. } => "fee_below_base",
        }
    }

    /// What it says about the run.
    pub fn class(&self) -> Class {
        match self {
            Self::WrongHash { .. }
            | Self::WrongSender { .. }
            | Self::BadSignature(_)
            | Self::WrongRoot { .. } => Class::Oracle,
            Self::NonceTooLow { .. }
            | Self::NonceGap { .. }
            | Self::Underpriced { .. }
            | Self::FeeBelowBase { .. } => Class::Policy,
            _ => Class::Input,
        }
    }

    /// How far the transaction got.
    pub fn step(&self) -> Step {
        match self {
            Self::WrongHash { .. } => Step::Hash,
            Self::WrongSender { .. } | Self::BadSignature(_) => Step::Recover,
            _ if self.class() == Class::Policy => Step::Rules,
            _ => Step::Decode,
        }
    }

    /// Whether it is the verdict on a block: every block that was recognised ends in one of these or in a matching root.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::WrongRoot { .. } | Self::NoRoot | Self::Incomplete { .. } => true,
            Self::Truncated { found } | Self::NotJson { found, .. } => *found > 0,
            _ => false,
        }
    }
}
