//! Blocks made up from a seed: validly signed transactions of the four types, as a node would give them out.
//!
//! A few break the pool's rules on purpose (gaps, replacements, fees below the base fee), so that its answers show. The
//! same seed always gives the same blocks.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxLegacy,
    crypto::secp256k1::{recover_signer, sign_message},
    proofs::calculate_transaction_root,
};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use fastrand::Rng;
use serde_json::{Value, json};

use super::types::Tx;

const CHAIN: u64 = 1;
const FIRST_BLOCK: u64 = 20_000_000;
const PER_BLOCK: usize = 200;
const SENDERS: usize = 256;
const GWEI: u128 = 1_000_000_000;
/// No generated base fee is above this.
const MOST_BASE_FEE: u128 = 40 * GWEI;

/// Function calls to make: a token's `transfer`, its `approve`, and trades.
const SELECTORS: [[u8; 4]; 5] = [
    [0xa9, 0x05, 0x9c, 0xbb],
    [0x09, 0x5e, 0xa7, 0xb3],
    [0x38, 0xed, 0x17, 0x39],
    [0x35, 0x93, 0x56, 0x4c],
    [0x04, 0xe4, 0x5a, 0xaf],
];

/// The generator: gives out one block's text after another.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    senders: Vec<Sender>,
    left: usize,
    number: u64,
}

/// A signing failure: the odds are 2^-128 with any seed.
#[derive(Debug, thiserror::Error)]
#[error("the generated key of sender {0} cannot sign")]
pub struct BadKey(usize);

#[derive(Debug)]
struct Sender {
    key: B256,
    address: Address,
    next: u64,
    /// What the latest transaction pays.
    fee: Option<u128>,
}

/// What all types of a transaction have.
struct Draft {
    nonce: u64,
    fee: u128,
    tip: u128,
    gas: u64,
    to: TxKind,
    value: U256,
    input: Bytes,
}

impl Generator {
    /// Makes so many transactions.
    pub fn new(seed: u64, transactions: usize) -> Result<Self, BadKey> {
        let mut random = Rng::with_seed(seed);
        let senders = (0..SENDERS)
            .map(|index| Sender::new(seed, index, random.u64(0..1000)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            random,
            senders,
            left: transactions,
            number: FIRST_BLOCK,
        })
    }

    /// How many blocks are left to make.
    pub fn blocks(&self) -> usize {
        self.left.div_ceil(PER_BLOCK)
    }

    fn block(&mut self, size: usize) -> Result<bytes::Bytes, BadKey> {
        let base_fee = u128::from(self.random.u64(8_000_000_000..MOST_BASE_FEE as u64));
        let mut signed = Vec::with_capacity(size);
        for _ in 0..size {
            signed.push(self.transaction(base_fee)?);
        }
        let (txs, senders): (Vec<Tx>, Vec<Address>) = signed.into_iter().unzip();
        let texts = txs
            .iter()
            .zip(&senders)
            .enumerate()
            .map(|(index, (tx, from))| rpc(tx, *from, self.number, index));
        let block = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "result": {
                "number": format!("{:#x}", self.number),
                "baseFeePerGas": format!("{base_fee:#x}"),
                "transactionsRoot": calculate_transaction_root(&txs),
                "transactions": texts.collect::<Vec<_>>(),
            },
        });
        self.number += 1;
        Ok(block.to_string().into_bytes().into())
    }

    fn transaction(&mut self, base_fee: u128) -> Result<(Tx, Address), BadKey> {
        let random = &mut self.random;
        let index = random.usize(0..self.senders.len());
        let sender = &mut self.senders[index];
        let draft = draft(random, sender, base_fee);
        let signed = match random.u8(0..100) {
            0..25 => sender.sign(legacy(draft), Tx::Legacy),
            25..32 => sender.sign(eip2930(random, draft), Tx::Eip2930),
            32..96 => sender.sign(eip1559(draft), Tx::Eip1559),
            _ => sender.sign(eip4844(random, draft), Tx::Eip4844),
        };
        signed.map(|tx| (tx, sender.address)).ok_or(BadKey(index))
    }
}

impl Iterator for Generator {
    type Item = Result<bytes::Bytes, BadKey>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.left.min(PER_BLOCK);
        self.left -= size;
        (size > 0).then(|| self.block(size))
    }
}

impl Sender {
    fn new(seed: u64, index: usize, next: u64) -> Result<Self, BadKey> {
        let key = keccak256(format!("pipewright txpool sender {seed} {index}"));
        let message = B256::ZERO;
        let address = sign_message(key, message)
            .ok()
            .and_then(|signature| recover_signer(&signature, message).ok());
        Ok(Self {
            key,
            address: address.ok_or(BadKey(index))?,
            next,
            fee: None,
        })
    }

    fn sign<T: SignableTransaction<Signature>>(
        &self,
        tx: T,
        wrap: fn(alloy_consensus::Signed<T>) -> Tx,
    ) -> Option<Tx> {
        let signature = sign_message(self.key, tx.signature_hash()).ok()?;
        Some(wrap(tx.into_signed(signature)))
    }
}

/// Draws what a transaction does, its nonce and its fees; sometimes ones that a pool refuses.
fn draft(random: &mut Rng, sender: &mut Sender, base_fee: u128) -> Draft {
    let usual = MOST_BASE_FEE + GWEI * u128::from(random.u64(1..50));
    let (nonce, fee) = match (random.u8(0..100), sender.fee) {
        // A gap: the nonce after the next one.
        (0, Some(_)) => (sender.next + 1, usual),
        // A replacement that does not pay enough.
        (1, Some(old)) => (sender.next - 1, old + 1),
        // One that does, unless its type gives a smaller part of the fee as tip.
        (2, Some(old)) => {
            sender.fee = Some(old * 2);
            (sender.next - 1, old * 2)
        }
        (chance, _) => {
            // Now and then not even the base fee.
            let fee = if chance == 3 { base_fee / 2 } else { usual };
            sender.fee = Some(fee);
            sender.next += 1;
            (sender.next - 1, fee)
        }
    };
    let (to, value, input) = action(random);
    let gas = 21_000 + 16 * input.len() as u64 + if to.is_create() { 500_000 } else { 0 };
    Draft {
        nonce,
        fee,
        tip: fee / 10,
        gas,
        to,
        value,
        input,
    }
}

fn action(random: &mut Rng) -> (TxKind, U256, Bytes) {
    let to = TxKind::Call(Address::from_word(keccak256(random.u64(..).to_be_bytes())));
    let value = U256::from(random.u64(1..u64::MAX));
    match random.u8(0..100) {
        0..40 => (to, value, Bytes::new()),
        40..43 => (TxKind::Create, U256::ZERO, bytes(random, 600)),
        _ => {
            let selector = SELECTORS[random.usize(0..SELECTORS.len())];
            let words = random.usize(2..8);
            (
                to,
                U256::ZERO,
                [&selector[..], &bytes(random, 32 * words)].concat().into(),
            )
        }
    }
}

fn bytes(random: &mut Rng, size: usize) -> Bytes {
    std::iter::repeat_with(|| random.u8(..))
        .take(size)
        .collect()
}

fn legacy(draft: Draft) -> TxLegacy {
    let Draft {
        nonce,
        fee,
        gas,
        to,
        value,
        input,
        ..
    } = draft;
    TxLegacy {
        chain_id: Some(CHAIN),
        nonce,
        gas_price: fee,
        gas_limit: gas,
        to,
        value,
        input,
    }
}

fn eip2930(random: &mut Rng, draft: Draft) -> TxEip2930 {
    let Draft {
        nonce,
        fee,
        gas,
        to,
        value,
        input,
        ..
    } = draft;
    let storage_keys = (0..random.u64(0..3))
        .map(|key| B256::from(U256::from(key)))
        .collect();
    let access_list = AccessList(vec![AccessListItem {
        address: to.to().copied().unwrap_or_default(),
        storage_keys,
    }]);
    TxEip2930 {
        chain_id: CHAIN,
        nonce,
        gas_price: fee,
        gas_limit: gas,
        to,
        value,
        access_list,
        input,
    }
}

fn eip1559(draft: Draft) -> TxEip1559 {
    let Draft {
        nonce,
        fee,
        tip,
        gas,
        to,
        value,
        input,
    } = draft;
    TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: gas,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: tip,
        to,
        value,
        access_list: AccessList::default(),
        input,
    }
}

fn eip4844(random: &mut Rng, draft: Draft) -> TxEip4844 {
    let Draft {
        nonce,
        fee,
        tip,
        gas,
        to,
        value,
        input,
    } = draft;
    let hashes = (0..random.u8(1..7)).map(|_| {
        let mut hash = keccak256(random.u64(..).to_be_bytes());
        // The version of a blob's commitment (EIP-4844).
        hash[0] = 1;
        hash
    });
    TxEip4844 {
        chain_id: CHAIN,
        nonce,
        gas_limit: gas,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: tip,
        // A blob transaction creates nothing.
        to: to.to().copied().unwrap_or(Address::ZERO),
        value,
        access_list: AccessList::default(),
        blob_versioned_hashes: hashes.collect(),
        max_fee_per_blob_gas: fee,
        input,
    }
}

/// A transaction as a node gives it out in a block.
fn rpc(tx: &Tx, from: Address, number: u64, index: usize) -> Value {
    let mut json = serde_json::to_value(tx).unwrap_or_default();
    if let Value::Object(fields) = &mut json {
        fields.insert("from".into(), json!(from));
        fields.insert("blockNumber".into(), json!(format!("{number:#x}")));
        fields.insert("transactionIndex".into(), json!(format!("{index:#x}")));
    }
    json
}
