//! Recovers a transaction's sender from its signature: nearly all of the pipeline's time.

use alloy_consensus::crypto::{SECP256K1N_HALF, secp256k1};
use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{BlockHead, Hashed, Recovered},
};

/// The first block in which a signature's `s` must be in the lower half of the curve's order (EIP-2).
const HOMESTEAD: u64 = 1_150_000;

/// Recovers who signed a transaction, who must be whom its text claims.
#[stage]
pub fn recover(hashed: Hashed) -> Result<Recovered, Reject> {
    let Hashed {
        place,
        hash,
        from: claimed,
        tx,
        ..
    } = hashed;
    let signature = tx.signature();
    if signature.s() > SECP256K1N_HALF && !allows_high_s(&place.block) {
        return Err(Reject::tx(
            place,
            Reason::BadSignature("`s` is in the upper half of the curve's order"),
        ));
    }
    match secp256k1::recover_signer_unchecked(signature, tx.signature_hash()) {
        Ok(sender) if sender == claimed => Ok(Recovered {
            place,
            hash,
            sender,
            tx,
        }),
        Ok(recovered) => Err(Reject::tx(
            place,
            Reason::WrongSender { claimed, recovered },
        )),
        Err(_) => Err(Reject::tx(
            place,
            Reason::BadSignature("no public key fits it"),
        )),
    }
}

fn allows_high_s(block: &BlockHead) -> bool {
    block.number.is_some_and(|number| number < HOMESTEAD)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alloy_consensus::{SignableTransaction, TxLegacy, crypto::secp256k1::sign_message};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Address, B256, Signature, U256, uint};

    use super::*;
    use crate::txpool::types::{Origin, Place, Tx};

    const ORDER: U256 =
        uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

    fn recovered(number: u64, change: fn(Signature) -> Signature) -> Result<Address, &'static str> {
        let tx = TxLegacy::default();
        let signature =
            sign_message(B256::repeat_byte(7), tx.signature_hash()).expect("a valid key");
        let from = signature.recover_address_from_prehash(&tx.signature_hash());
        let from = from.unwrap_or_else(|_| {
            secp256k1::recover_signer(&signature, tx.signature_hash()).expect("a sender")
        });
        let tx = Tx::Legacy(tx.into_signed(change(signature)));
        let origin = Origin {
            file: "file".into(),
            seq: 0,
            view: 0,
        };
        let block = BlockHead {
            origin,
            number: Some(number),
            base_fee: None,
            transactions_root: None,
            transactions: 1,
            whole: true,
        };
        let encoded = tx.encoded_2718().into();
        let place = Place {
            block: Arc::new(block),
            index: 0,
        };
        recover(Hashed {
            place,
            hash: *tx.tx_hash(),
            from,
            tx: Arc::new(tx),
            encoded,
        })
        .map(|recovered| recovered.sender)
        .map_err(|reject| reject.reason.code())
    }

    fn high(signature: Signature) -> Signature {
        Signature::new(signature.r(), ORDER - signature.s(), !signature.v())
    }

    #[test]
    fn a_high_s_is_genuine_before_homestead_only() {
        let sender = recovered(HOMESTEAD, |signature| signature);
        assert!(sender.is_ok());
        assert_eq!(recovered(HOMESTEAD - 1, high), sender);
        assert_eq!(recovered(HOMESTEAD, high), Err("bad_signature"));
    }

    #[test]
    fn a_wrong_signature_is_nobodys_or_somebody_elses() {
        let zero = |signature: Signature| Signature::new(U256::ZERO, signature.s(), signature.v());
        assert_eq!(recovered(HOMESTEAD, zero), Err("bad_signature"));
        let huge = |signature: Signature| Signature::new(U256::MAX, signature.s(), signature.v());
        assert_eq!(recovered(HOMESTEAD, huge), Err("bad_signature"));
        let other =
            |signature: Signature| Signature::new(signature.r(), signature.s(), !signature.v());
        assert_eq!(recovered(HOMESTEAD, other), Err("wrong_sender"));
    }
}
