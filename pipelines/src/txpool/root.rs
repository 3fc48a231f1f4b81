//! Checks that a block's transactions hash to the root that the block claims.
//!
//! Nothing is encoded twice: `hash` has encoded every transaction, and here its encodings come together again. A
//! rejected transaction comes too, as a missing part, so that every block is answered and none is held for ever.

use std::collections::HashMap;

use alloy_trie::root::ordered_trie_root_encoded;
use bytes::Bytes;
use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{Hashed, Part, Place, RootMatched, WholeBlock},
};

/// A good transaction's part in its block.
#[stage]
pub fn part(hashed: Hashed) -> Part {
    Part {
        place: hashed.place,
        encoded: Some(hashed.encoded),
    }
}

/// The part of a transaction that was rejected before it was encoded.
#[stage]
pub fn missing(reject: Reject) -> Option<Part> {
    let Reject { block, index, .. } = reject;
    Some(Part {
        place: Place {
            block,
            index: index?,
        },
        encoded: None,
    })
}

/// Blocks whose transactions have not all arrived.
#[derive(Debug, Default)]
pub struct OpenBlocks(HashMap<u64, OpenBlock>);

#[derive(Debug)]
struct OpenBlock {
    encoded: Vec<Option<Bytes>>,
    left: usize,
}

/// Puts blocks together again; one leaves with its last transaction.
#[stage]
pub fn collect(part: Part, open: &mut OpenBlocks) -> Option<WholeBlock> {
    let Part {
        place: Place { block, index },
        encoded,
    } = part;
    if !block.whole {
        return None;
    }
    let all = block.transactions as usize;
    let seq = block.origin.seq;
    let found = open.0.entry(seq).or_insert_with(|| OpenBlock {
        encoded: vec![None; all],
        left: all,
    });
    if let Some(slot) = found.encoded.get_mut(index as usize) {
        *slot = encoded;
    }
    found.left = found.left.saturating_sub(1);
    if found.left > 0 {
        return None;
    }
    let encoded = open.0.remove(&seq)?.encoded;
    Some(WholeBlock { block, encoded })
}

/// Computes the root of a block's transactions, which must be what the block claims.
#[stage]
pub fn root(whole: WholeBlock) -> Result<RootMatched, Reject> {
    let WholeBlock { block, encoded } = whole;
    let of = encoded.len() as u32;
    let encoded: Vec<Bytes> = encoded.into_iter().flatten().collect();
    let missing = of - encoded.len() as u32;
    if missing > 0 {
        return Err(Reject::block(block, Reason::Incomplete { missing, of }));
    }
    let Some(claimed) = block.transactions_root else {
        return Err(Reject::block(block, Reason::NoRoot));
    };
    let computed = ordered_trie_root_encoded(&encoded);
    if computed == claimed {
        Ok(RootMatched { block })
    } else {
        Err(Reject::block(
            block,
            Reason::WrongRoot { claimed, computed },
        ))
    }
}
