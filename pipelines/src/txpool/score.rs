//! What a transaction is worth to whoever builds the next block.
//!
//! One stage for each kind, so that the report tells the kinds apart and each can be given its own rule.

use alloy_consensus::Transaction;
use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{Kept, Kind, Scored, Swap},
};

/// Scores a plain transfer.
#[stage]
pub fn score_transfer(tx: Kept) -> Result<Scored, Reject> {
    score(tx, Kind::Transfer, None)
}

/// Scores a contract call.
#[stage]
pub fn score_call(tx: Kept) -> Result<Scored, Reject> {
    score(tx, Kind::Call, None)
}

/// Scores the creation of a contract.
#[stage]
pub fn score_creation(tx: Kept) -> Result<Scored, Reject> {
    score(tx, Kind::Creation, None)
}

/// Scores a carrier of blobs by what it pays for its gas; what it pays for its blobs is burnt.
#[stage]
pub fn score_blob(tx: Kept) -> Result<Scored, Reject> {
    score(tx, Kind::Blob, None)
}

/// Scores a trade.
#[stage]
pub fn score_swap(swap: Swap) -> Result<Scored, Reject> {
    score(swap.tx, Kind::Swap, Some(swap.function))
}

/// The tip per gas that is left at the block's base fee; blocks before London burn nothing.
fn score(tx: Kept, kind: Kind, function: Option<&'static str>) -> Result<Scored, Reject> {
    let base_fee = tx.signed.place.block.base_fee.unwrap_or(0);
    match tx.signed.tx.effective_tip_per_gas(base_fee) {
        Some(tip) => Ok(Scored {
            tx,
            kind,
            tip,
            function,
        }),
        None => {
            let max_fee = tx.signed.tx.max_fee_per_gas();
            Err(Reject::tx(
                tx.signed.place,
                Reason::FeeBelowBase { max_fee, base_fee },
            ))
        }
    }
}
