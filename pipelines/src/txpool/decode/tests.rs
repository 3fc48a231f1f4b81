//! Decoding against bad fields, one at a time.

use std::sync::Arc;

use alloy_consensus::Transaction;
use serde_json::{Value, json};

use super::*;
use crate::txpool::types::{BlockHead, Origin, Place};

fn decoded(json: &Value) -> Result<Tx, String> {
    let origin = Origin {
        file: "file".into(),
        seq: 0,
        view: 0,
    };
    let block = BlockHead {
        origin,
        number: Some(7),
        base_fee: None,
        transactions_root: None,
        transactions: 1,
        whole: true,
    };
    let place = Place {
        block: Arc::new(block),
        index: 3,
    };
    let decoded = decode(RawTx {
        place,
        text: json.to_string().into(),
    });
    decoded
        .map(|decoded| (*decoded.tx).clone())
        .map_err(|reject| reject.to_string())
}

fn dynamic() -> Value {
    json!({
        "type": "0x2", "hash": B256::ZERO, "from": Address::ZERO, "chainId": "0x1", "nonce": "0x5", "gas": "0x5208",
        "maxFeePerGas": "0x10", "maxPriorityFeePerGas": "0x1", "to": Address::repeat_byte(1), "value": "0x0",
        "input": "0x", "accessList": [], "yParity": "0x1", "v": "0x1", "r": "0x1", "s": "0x2",
    })
}

/// Changes one field, or takes it away, and expects so much of the message.
fn check(field: &str, value: Option<Value>, expect: &str) {
    let mut json = dynamic();
    let fields = json.as_object_mut().expect("an object");
    match value {
        Some(value) => drop(fields.insert(field.into(), value)),
        None => drop(fields.remove(field)),
    }
    assert_eq!(
        decoded(&json).err(),
        Some(format!("file, block 7, transaction 3: {expect}"))
    );
}

#[test]
fn a_good_transaction_is_decoded() {
    let tx = decoded(&dynamic()).expect("a good transaction");
    assert!(tx.is_eip1559());
    assert_eq!(
        (tx.nonce(), tx.gas_limit(), tx.max_fee_per_gas()),
        (5, 21_000, 16)
    );
    assert!(tx.signature().v());
}

#[test]
fn a_missing_field_is_named() {
    for field in [
        "hash",
        "from",
        "chainId",
        "nonce",
        "gas",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "value",
        "input",
        "r",
        "s",
    ] {
        check(field, None, &format!("has no `{field}`"));
    }
}

#[test]
fn a_bad_field_is_named_with_what_it_holds() {
    check(
        "nonce",
        Some(json!(5)),
        "`nonce` must be hex in a string like \"0x1\", not 5",
    );
    check(
        "nonce",
        Some(json!("0x10000000000000000")),
        "`nonce` does not fit in 64 bits: \"0x10000000000000000\"",
    );
    check(
        "value",
        Some(json!("0xg")),
        "`value` must be a hex number like \"0x1\", not \"0xg\"",
    );
    check(
        "to",
        Some(json!("0x12")),
        "`to` must be 20 bytes in hex, not \"0x12\"",
    );
    check(
        "input",
        Some(json!("0x1")),
        "`input` must be whole bytes in hex, not \"0x1\"",
    );
    check(
        "yParity",
        Some(json!("0x2")),
        "`yParity` must be 0 or 1, not 2",
    );
    check(
        "accessList",
        Some(json!([1])),
        "`accessList` cannot be read: invalid type: integer `1`, expected struct AccessListItem at line 1 column 2",
    );
}

#[test]
fn an_unknown_type_is_named() {
    check("type", Some(json!("0x7e")), "has the unknown type 126");
    check(
        "type",
        Some(json!("two")),
        "`type` must be hex in a string like \"0x1\", not \"two\"",
    );
}

#[test]
fn what_is_no_transaction_is_told_apart() {
    let check = |json: Value, expect: &str| {
        let found = decoded(&json).expect_err("no transaction");
        assert!(found.ends_with(expect), "{found}");
    };
    check(json!("0xabcd"), "(`eth_getBlockByNumber` with `true`)");
    check(
        json!(null),
        "is not a transaction: found null, not an object",
    );
    check(json!([1]), "is not a transaction: found [1], not an object");
    check(json!({}), "has no `hash`");
}

#[test]
fn a_type_says_what_its_fields_are() {
    let mut json = dynamic();
    json["to"] = Value::Null;
    assert!(decoded(&json).expect("a creation").is_create());
    json["type"] = json!("0x3");
    assert_eq!(
        decoded(&json).err().as_deref(),
        Some("file, block 7, transaction 3: has no `to`")
    );
    json["type"] = json!("0x0");
    json["gasPrice"] = json!("0x9");
    assert_eq!(
        decoded(&json).err().as_deref(),
        Some("file, block 7, transaction 3: `v` is no legacy parity: 1")
    );
    json["v"] = json!("0x25");
    assert_eq!(decoded(&json).expect("legacy").chain_id(), Some(1));
    json["v"] = json!("0x1c");
    assert_eq!(decoded(&json).expect("legacy").chain_id(), None);
}
