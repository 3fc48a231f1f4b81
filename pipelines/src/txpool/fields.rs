//! The values of JSON-RPC fields: quantities, hashes, addresses and data, all of them hex in strings.

use std::str::FromStr;

use alloy_primitives::{Bytes, U256};
use serde_json::value::RawValue;

/// An unsigned number that fits in so many bits.
pub(super) trait Quantity: Sized {
    const BITS: u32;
    fn from_hex(digits: &str) -> Option<Self>;
}

impl Quantity for u64 {
    const BITS: u32 = 64;
    fn from_hex(digits: &str) -> Option<Self> {
        Self::from_str_radix(digits, 16).ok()
    }
}

impl Quantity for u128 {
    const BITS: u32 = 128;
    fn from_hex(digits: &str) -> Option<Self> {
        Self::from_str_radix(digits, 16).ok()
    }
}

impl Quantity for U256 {
    const BITS: u32 = 256;
    fn from_hex(digits: &str) -> Option<Self> {
        Self::from_str_radix(digits, 16).ok()
    }
}

/// Reads a number.
pub(super) fn quantity<T: Quantity>(raw: &RawValue) -> Result<T, String> {
    let digits = hex(raw)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!(
            "must be a hex number like \"0x1\", not {}",
            shown(raw.get())
        ));
    }
    T::from_hex(digits)
        .ok_or_else(|| format!("does not fit in {} bits: {}", T::BITS, shown(raw.get())))
}

/// Reads a value of fixed size: a hash or an address.
pub(super) fn fixed<T: FromStr>(raw: &RawValue) -> Result<T, String> {
    T::from_str(hex(raw)?).map_err(|_| {
        format!(
            "must be {} bytes in hex, not {}",
            size_of::<T>(),
            shown(raw.get())
        )
    })
}

/// Reads data of any size.
pub(super) fn data(raw: &RawValue) -> Result<Bytes, String> {
    Bytes::from_str(hex(raw)?)
        .map_err(|_| format!("must be whole bytes in hex, not {}", shown(raw.get())))
}

fn hex(raw: &RawValue) -> Result<&str, String> {
    let text = raw
        .get()
        .strip_prefix("\"0x")
        .and_then(|text| text.strip_suffix('"'));
    text.ok_or_else(|| {
        format!(
            "must be hex in a string like \"0x1\", not {}",
            shown(raw.get())
        )
    })
}

/// At most some forty characters of a text, on one line, for messages.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("..");
    }
    shown
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::*;

    fn check<T>(read: impl Fn(&RawValue) -> Result<T, String>, text: &str, expect: Result<T, &str>)
    where
        T: PartialEq + std::fmt::Debug,
    {
        let raw = RawValue::from_string(text.into()).expect("valid JSON");
        assert_eq!(read(&raw), expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn numbers_are_hex_in_strings() {
        check(quantity::<u64>, "\"0x0\"", Ok(0));
        check(quantity::<u64>, "\"0xffffffffffffffff\"", Ok(u64::MAX));
        check(quantity::<u128>, "\"0x10000000000000000\"", Ok(1 << 64));
        check(quantity::<U256>, "\"0xff\"", Ok(U256::from(255)));
        check(
            quantity::<u64>,
            "\"0x10000000000000000\"",
            Err("does not fit in 64 bits: \"0x10000000000000000\""),
        );
        check(
            quantity::<u64>,
            "7",
            Err("must be hex in a string like \"0x1\", not 7"),
        );
        check(
            quantity::<u64>,
            "\"7\"",
            Err("must be hex in a string like \"0x1\", not \"7\""),
        );
        check(
            quantity::<u64>,
            "\"0x\"",
            Err("must be a hex number like \"0x1\", not \"0x\""),
        );
        check(
            quantity::<u64>,
            "\"0x+1\"",
            Err("must be a hex number like \"0x1\", not \"0x+1\""),
        );
        let huge = format!("\"0x{}\"", "f".repeat(65));
        check(
            quantity::<U256>,
            &huge,
            Err("does not fit in 256 bits: \"0xfffffffffffffffffffffffffffffffffffff.."),
        );
    }

    #[test]
    fn hashes_and_addresses_have_their_size() {
        check(
            fixed::<Address>,
            &format!("\"0x{}\"", "01".repeat(20)),
            Ok(Address::repeat_byte(1)),
        );
        check(
            fixed::<B256>,
            "\"0x01\"",
            Err("must be 32 bytes in hex, not \"0x01\""),
        );
        check(
            fixed::<B256>,
            "null",
            Err("must be hex in a string like \"0x1\", not null"),
        );
    }

    #[test]
    fn data_is_whole_bytes() {
        check(data, "\"0x\"", Ok(Bytes::new()));
        check(data, "\"0xabcd\"", Ok(Bytes::from_static(&[0xab, 0xcd])));
        check(
            data,
            "\"0xabc\"",
            Err("must be whole bytes in hex, not \"0xabc\""),
        );
        check(
            data,
            "\"0xzz\"",
            Err("must be whole bytes in hex, not \"0xzz\""),
        );
    }
}
