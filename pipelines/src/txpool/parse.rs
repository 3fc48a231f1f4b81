//! From a block's JSON text to its transactions' texts.
//!
//! The text is read once, and only as deep as the list of transactions; each of them stays text, so that one bad
//! transaction costs no other. What was found before a text breaks off still counts.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use pipewright::stage;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::{
    fields,
    reject::{Reason, Reject},
    types::{BlockHead, Piece, Place, RawBlock, RawTx, WholeBlock},
};

/// Gives out the transactions of a block, and what is wrong with the block.
///
/// A block is a JSON object with `transactions`, bare or as the `result` of a JSON-RPC answer.
#[stage]
pub fn parse(raw: RawBlock) -> impl Iterator<Item = Piece> {
    let (text, unreadable) = match raw.text {
        Ok(text) => (text, None),
        Err(error) => (Bytes::new(), Some(Reason::Unreadable(error))),
    };
    let mut contents = match unreadable {
        Some(fault) => Contents {
            faults: vec![fault],
            ..Contents::default()
        },
        None => Contents::of(&text),
    };
    let block = Arc::new(BlockHead {
        origin: raw.origin,
        number: contents.quantity("number", contents.number),
        base_fee: contents.quantity("baseFeePerGas", contents.base_fee),
        transactions_root: contents.root.and_then(|root| fields::fixed(root).ok()),
        transactions: contents.transactions.len() as u32,
        whole: contents.whole,
    });
    let texts: Vec<Bytes> = contents
        .transactions
        .iter()
        .map(|tx| text.slice_ref(tx.get().as_bytes()))
        .collect();
    let empty = (contents.whole && texts.is_empty()).then(|| {
        Piece::Empty(WholeBlock {
            block: block.clone(),
            encoded: Vec::new(),
        })
    });
    let faults = std::mem::take(&mut contents.faults);
    let faulty = block.clone();
    let bad = faults
        .into_iter()
        .map(move |fault| Piece::Bad(Reject::block(faulty.clone(), fault)));
    let txs = (0..).zip(texts).map(move |(index, text)| {
        Piece::Tx(RawTx {
            place: Place {
                block: block.clone(),
                index,
            },
            text,
        })
    });
    txs.chain(empty).chain(bad)
}

/// What was found in a block's text.
#[derive(Default)]
struct Contents<'t> {
    number: Option<&'t RawValue>,
    base_fee: Option<&'t RawValue>,
    root: Option<&'t RawValue>,
    /// The error of a JSON-RPC answer.
    error: Option<&'t RawValue>,
    transactions: Vec<&'t RawValue>,
    /// Whether it is a block that was read to its end.
    whole: bool,
    listed: bool,
    faults: Vec<Reason>,
}

impl<'t> Contents<'t> {
    fn of(text: &'t [u8]) -> Self {
        let mut contents = Self::default();
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = Object(&mut contents)
            .deserialize(&mut json)
            .and_then(|()| json.end());
        let fault = match read {
            _ if text.is_empty() => Some(Reason::Empty),
            Err(error) => Some(contents.fault(&error)),
            Ok(()) if contents.listed => None,
            Ok(()) => Some(Reason::NotABlock(match contents.error {
                Some(error) => format!("the answer is the error {}", fields::shown(error.get())),
                None => "it has no `transactions`".into(),
            })),
        };
        contents.whole = fault.is_none();
        contents.faults.extend(fault);
        contents
    }

    fn fault(&self, error: &serde_json::Error) -> Reason {
        let found = self.transactions.len() as u32;
        match error.classify() {
            serde_json::error::Category::Eof => Reason::Truncated { found },
            serde_json::error::Category::Data => Reason::NotABlock(error.to_string()),
            _ => Reason::NotJson {
                detail: error.to_string(),
                found,
            },
        }
    }

    fn quantity(&mut self, field: &'static str, raw: Option<&RawValue>) -> Option<u64> {
        let read = fields::quantity(raw?);
        read.map_err(|detail| self.faults.push(Reason::BadField { field, detail }))
            .ok()
    }
}

/// Reads an object that is a block or a JSON-RPC answer with one; keeps what it found when it fails.
struct Object<'c, 't>(&'c mut Contents<'t>);

impl<'t> DeserializeSeed<'t> for Object<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Object<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "number" => self.0.number = map.next_value()?,
                "baseFeePerGas" => self.0.base_fee = map.next_value()?,
                "transactionsRoot" => self.0.root = map.next_value()?,
                "error" => self.0.error = map.next_value()?,
                "result" => map.next_value_seed(Object(self.0))?,
                "transactions" if self.0.listed => {
                    return Err(A::Error::custom("it has `transactions` twice"));
                }
                "transactions" => map.next_value_seed(List(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the list of transactions; keeps what it found when it fails.
struct List<'c, 't>(&'c mut Contents<'t>);

impl<'t> DeserializeSeed<'t> for List<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'t> Visitor<'t> for List<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of transactions")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.listed = true;
        while let Some(tx) = list.next_element()? {
            self.0.transactions.push(tx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txpool::types::Origin;

    /// What a text gives: how many transactions, whether an empty block, and the codes of what is wrong.
    fn check(text: &str, txs: usize, empty: bool, codes: &[&str]) {
        let origin = Origin {
            file: "file".into(),
            seq: 0,
            view: 0,
        };
        let raw = RawBlock {
            origin,
            text: Ok(Bytes::copy_from_slice(text.as_bytes())),
        };
        let (mut found, mut found_empty, mut found_codes) = (0, false, Vec::new());
        for piece in parse(raw) {
            match piece {
                Piece::Tx(_) => found += 1,
                Piece::Empty(_) => found_empty = true,
                Piece::Bad(reject) => found_codes.push(reject.reason.code()),
            }
        }
        assert_eq!(
            (found, found_empty, &found_codes[..]),
            (txs, empty, codes),
            "{text}"
        );
    }

    #[test]
    fn blocks_are_read_bare_and_as_answers() {
        check(r#"{"number":"0x1","transactions":[{},{}]}"#, 2, false, &[]);
        check(
            r#"{"jsonrpc":"2.0","id":1,"result":{"transactions":[{}],"number":"0x1"}}"#,
            1,
            false,
            &[],
        );
        check(r#"{"transactions":[]}"#, 0, true, &[]);
        check(r#"{"transactions":[42,"0x1",null]}"#, 3, false, &[]);
    }

    #[test]
    fn what_is_not_a_block_is_told_apart() {
        check("", 0, false, &["empty"]);
        check("hello", 0, false, &["not_json"]);
        check("[1]", 0, false, &["not_a_block"]);
        check("5", 0, false, &["not_a_block"]);
        check("{}", 0, false, &["not_a_block"]);
        check(r#"{"result":null}"#, 0, false, &["not_a_block"]);
        check(r#"{"error":{"code":-32000}}"#, 0, false, &["not_a_block"]);
        check(r#"{"transactions":7}"#, 0, false, &["not_a_block"]);
    }

    #[test]
    fn transactions_before_a_fault_still_count() {
        check(
            r#"{"transactions":[{"a":1},{"b":"#,
            1,
            false,
            &["truncated"],
        );
        check(r#"{"transactions":[{"a":1}"#, 1, false, &["truncated"]);
        check(
            r#"{"transactions":[{"a":1},{"b":]]}"#,
            1,
            false,
            &["not_json"],
        );
        check(r#"{"transactions":[{}]} x"#, 1, false, &["not_json"]);
        check(
            r#"{"transactions":[{}],"transactions":[{}]}"#,
            1,
            false,
            &["not_a_block"],
        );
    }

    #[test]
    fn a_bad_head_costs_no_transaction() {
        check(
            r#"{"number":"0xfffffffffffffffffff","transactions":[{}]}"#,
            1,
            false,
            &["bad_field"],
        );
        check(
            r#"{"baseFeePerGas":1e999,"transactions":[{}]}"#,
            1,
            false,
            &["bad_field"],
        );
        check(
            r#"{"baseFeePerGas":null,"transactions":[{}]}"#,
            1,
            false,
            &[],
        );
    }
}
