//! From a transaction's JSON to its typed form.

use std::sync::Arc;

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    transaction::from_eip155_value,
};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use pipewright::stage;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    fields::{self, Quantity},
    reject::{Reason, Reject},
    types::{Decoded, RawTx, Tx},
};

/// Gives a transaction its type: legacy, access list (2930), dynamic fee (1559), blob (4844) or set code (7702).
#[stage]
pub fn decode(raw: RawTx) -> Result<Decoded, Reject> {
    match read(&raw.text) {
        Ok((hash, from, tx)) => Ok(Decoded {
            place: raw.place,
            hash,
            from,
            tx: Arc::new(tx),
        }),
        Err(reason) => Err(Reject::tx(raw.place, reason)),
    }
}

fn read(text: &[u8]) -> Result<(B256, Address, Tx), Reason> {
    if text.starts_with(b"\"") {
        return Err(Reason::OnlyAHash);
    }
    if !text.starts_with(b"{") {
        let found = String::from_utf8_lossy(text);
        return Err(Reason::NotATransaction(format!(
            "found {}, not an object",
            fields::shown(&found)
        )));
    }
    let json: Json<'_> =
        serde_json::from_slice(text).map_err(|error| Reason::NotATransaction(error.to_string()))?;
    let hash = required("hash", json.hash, fields::fixed)?;
    let from = required("from", json.from, fields::fixed)?;
    Ok((hash, from, json.typed()?))
}

/// A transaction as `eth_getBlockByNumber` gives it, its values still text. Fields that follow from others
/// (`blockHash`, `transactionIndex`, the effective `gasPrice` of later types) are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a transaction")]
struct Json<'t> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'t RawValue>,
    #[serde(borrow)]
    hash: Option<&'t RawValue>,
    #[serde(borrow)]
    from: Option<&'t RawValue>,
    #[serde(borrow)]
    chain_id: Option<&'t RawValue>,
    #[serde(borrow)]
    nonce: Option<&'t RawValue>,
    #[serde(borrow)]
    gas: Option<&'t RawValue>,
    #[serde(borrow)]
    gas_price: Option<&'t RawValue>,
    #[serde(borrow)]
    max_fee_per_gas: Option<&'t RawValue>,
    #[serde(borrow)]
    max_priority_fee_per_gas: Option<&'t RawValue>,
    #[serde(borrow)]
    max_fee_per_blob_gas: Option<&'t RawValue>,
    #[serde(borrow)]
    to: Option<&'t RawValue>,
    #[serde(borrow)]
    value: Option<&'t RawValue>,
    #[serde(borrow)]
    input: Option<&'t RawValue>,
    #[serde(borrow)]
    access_list: Option<&'t RawValue>,
    #[serde(borrow)]
    blob_versioned_hashes: Option<&'t RawValue>,
    #[serde(borrow)]
    authorization_list: Option<&'t RawValue>,
    #[serde(borrow)]
    v: Option<&'t RawValue>,
    #[serde(borrow)]
    y_parity: Option<&'t RawValue>,
    #[serde(borrow)]
    r: Option<&'t RawValue>,
    #[serde(borrow)]
    s: Option<&'t RawValue>,
}

impl Json<'_> {
    fn typed(&self) -> Result<Tx, Reason> {
        let kind: u64 = self
            .kind
            .map_or(Ok(0), |kind| required("type", Some(kind), fields::quantity))?;
        Ok(match kind {
            0 => {
                let (parity, chain_id) = self.legacy_parity()?;
                Tx::Legacy(self.legacy(chain_id)?.into_signed(self.signature(parity)?))
            }
            1 => Tx::Eip2930(self.eip2930()?.into_signed(self.signature(self.parity()?)?)),
            2 => Tx::Eip1559(self.eip1559()?.into_signed(self.signature(self.parity()?)?)),
            3 => Tx::Eip4844(self.eip4844()?.into_signed(self.signature(self.parity()?)?)),
            4 => Tx::Eip7702(self.eip7702()?.into_signed(self.signature(self.parity()?)?)),
            other => return Err(Reason::UnknownType(other)),
        })
    }

    fn legacy(&self, chain_id: Option<u64>) -> Result<TxLegacy, Reason> {
        Ok(TxLegacy {
            chain_id,
            nonce: self.nonce()?,
            gas_price: number("gasPrice", self.gas_price)?,
            gas_limit: self.gas_limit()?,
            to: self.to()?,
            value: self.value()?,
            input: self.input()?,
        })
    }

    fn eip2930(&self) -> Result<TxEip2930, Reason> {
        Ok(TxEip2930 {
            chain_id: self.chain_id()?,
            nonce: self.nonce()?,
            gas_price: number("gasPrice", self.gas_price)?,
            gas_limit: self.gas_limit()?,
            to: self.to()?,
            value: self.value()?,
            access_list: self.access_list()?,
            input: self.input()?,
        })
    }

    fn eip1559(&self) -> Result<TxEip1559, Reason> {
        Ok(TxEip1559 {
            chain_id: self.chain_id()?,
            nonce: self.nonce()?,
            gas_limit: self.gas_limit()?,
            max_fee_per_gas: number("maxFeePerGas", self.max_fee_per_gas)?,
            max_priority_fee_per_gas: number(
                "maxPriorityFeePerGas",
                self.max_priority_fee_per_gas,
            )?,
            to: self.to()?,
            value: self.value()?,
            access_list: self.access_list()?,
            input: self.input()?,
        })
    }

    fn eip4844(&self) -> Result<TxEip4844, Reason> {
        Ok(TxEip4844 {
            chain_id: self.chain_id()?,
            nonce: self.nonce()?,
            gas_limit: self.gas_limit()?,
            max_fee_per_gas: number("maxFeePerGas", self.max_fee_per_gas)?,
            max_priority_fee_per_gas: number(
                "maxPriorityFeePerGas",
                self.max_priority_fee_per_gas,
            )?,
            to: required("to", self.to, fields::fixed)?,
            value: self.value()?,
            access_list: self.access_list()?,
            blob_versioned_hashes: required(
                "blobVersionedHashes",
                self.blob_versioned_hashes,
                list,
            )?,
            max_fee_per_blob_gas: number("maxFeePerBlobGas", self.max_fee_per_blob_gas)?,
            input: self.input()?,
        })
    }

    fn eip7702(&self) -> Result<TxEip7702, Reason> {
        let authorizations: Vec<SignedAuthorization> =
            required("authorizationList", self.authorization_list, list)?;
        Ok(TxEip7702 {
            chain_id: self.chain_id()?,
            nonce: self.nonce()?,
            gas_limit: self.gas_limit()?,
            max_fee_per_gas: number("maxFeePerGas", self.max_fee_per_gas)?,
            max_priority_fee_per_gas: number(
                "maxPriorityFeePerGas",
                self.max_priority_fee_per_gas,
            )?,
            to: required("to", self.to, fields::fixed)?,
            value: self.value()?,
            access_list: self.access_list()?,
            authorization_list: authorizations,
            input: self.input()?,
        })
    }

    fn chain_id(&self) -> Result<u64, Reason> {
        number("chainId", self.chain_id)
    }

    fn nonce(&self) -> Result<u64, Reason> {
        number("nonce", self.nonce)
    }

    fn gas_limit(&self) -> Result<u64, Reason> {
        number("gas", self.gas)
    }

    fn to(&self) -> Result<TxKind, Reason> {
        let to = self
            .to
            .map(|to| required("to", Some(to), fields::fixed))
            .transpose()?;
        Ok(to.map_or(TxKind::Create, TxKind::Call))
    }

    fn value(&self) -> Result<U256, Reason> {
        number("value", self.value)
    }

    fn input(&self) -> Result<Bytes, Reason> {
        required("input", self.input, fields::data)
    }

    fn access_list(&self) -> Result<AccessList, Reason> {
        self.access_list
            .map_or(Ok(AccessList::default()), |access| {
                required("accessList", Some(access), list)
            })
    }

    /// The signature's parity and the chain that it is for, which `v` holds together.
    fn legacy_parity(&self) -> Result<(bool, Option<u64>), Reason> {
        let v: u128 = number("v", self.v)?;
        from_eip155_value(v).ok_or_else(|| Reason::BadField {
            field: "v",
            detail: format!("is no legacy parity: {v}"),
        })
    }

    fn parity(&self) -> Result<bool, Reason> {
        let (field, raw) = if self.y_parity.is_some() {
            ("yParity", self.y_parity)
        } else {
            ("v", self.v)
        };
        match number::<u64>(field, raw)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Reason::BadField {
                field,
                detail: format!("must be 0 or 1, not {other}"),
            }),
        }
    }

    fn signature(&self, parity: bool) -> Result<Signature, Reason> {
        Ok(Signature::new(
            number("r", self.r)?,
            number("s", self.s)?,
            parity,
        ))
    }
}

fn number<T: Quantity>(field: &'static str, raw: Option<&RawValue>) -> Result<T, Reason> {
    required(field, raw, fields::quantity)
}

fn required<T>(
    field: &'static str,
    raw: Option<&RawValue>,
    read: fn(&RawValue) -> Result<T, String>,
) -> Result<T, Reason> {
    let raw = raw.ok_or(Reason::MissingField(field))?;
    read(raw).map_err(|detail| Reason::BadField { field, detail })
}

fn list<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| format!("cannot be read: {error}"))
}

#[cfg(test)]
#[path = "decode/tests.rs"]
mod tests;
