//! Encodes a transaction and checks its hash.

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::keccak256;
use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{Decoded, Hashed},
};

/// Encodes a transaction once, for its hash and for its block's trie; its hash must be what its text claims.
#[stage]
pub fn hash(decoded: Decoded) -> Result<Hashed, Reject> {
    let Decoded {
        place,
        hash: claimed,
        from,
        tx,
    } = decoded;
    let encoded = tx.encoded_2718();
    let computed = keccak256(&encoded);
    if computed != claimed {
        return Err(Reject::tx(place, Reason::WrongHash { claimed, computed }));
    }
    Ok(Hashed {
        place,
        hash: computed,
        from,
        tx,
        encoded: encoded.into(),
    })
}
