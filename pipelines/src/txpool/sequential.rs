//! The stages called one after the other, without the runtime: what runs and trials are compared with.

use std::collections::HashMap;

use alloy_primitives::Address;

use super::{
    classify::classify,
    decode::decode,
    env::Env,
    feed::blocks,
    hash::hash,
    parse::parse,
    recover::recover,
    reject::Reject,
    root::{OpenBlocks, collect, missing, part, root},
    score::{score_blob, score_call, score_creation, score_swap, score_transfer},
    sender::{Account, sender, sender_of},
    tally::{rank, reject, roots},
    types::{Hashed, Part, Piece, RawTx, Recovered, Routed, Scored, WholeBlock},
};

/// Decides on transactions, one after the other.
#[derive(Debug, Default)]
pub struct Decider {
    accounts: HashMap<Address, Account>,
}

impl Decider {
    /// Decides on a transaction.
    ///
    /// # Errors
    ///
    /// Why it cannot be kept.
    pub fn decide(&mut self, raw: RawTx) -> Result<Scored, Reject> {
        let hashed = decode(raw).and_then(hash)?;
        self.judge(hashed)
    }

    fn judge(&mut self, hashed: Hashed) -> Result<Scored, Reject> {
        let recovered: Recovered = recover(hashed)?;
        let account = self.accounts.entry(sender_of(&recovered)).or_default();
        match classify(sender(recovered, account)?) {
            Routed::Transfer(tx) => score_transfer(tx),
            Routed::Call(tx) => score_call(tx),
            Routed::Creation(tx) => score_creation(tx),
            Routed::Blob(tx) => score_blob(tx),
            Routed::Swap(swap) => score_swap(swap),
        }
    }
}

/// Runs everything, in order.
pub fn run(env: &Env) {
    let mut driver = Driver {
        env,
        decider: Decider::default(),
        open: OpenBlocks::default(),
    };
    for piece in blocks(env).flat_map(parse) {
        match piece {
            Piece::Tx(raw) => driver.transaction(raw),
            Piece::Empty(whole) => driver.whole(whole),
            Piece::Bad(bad) => reject(bad, env),
        }
    }
}

struct Driver<'e> {
    env: &'e Env,
    decider: Decider,
    open: OpenBlocks,
}

impl Driver<'_> {
    fn transaction(&mut self, raw: RawTx) {
        let hashed = match decode(raw).and_then(hash) {
            Ok(hashed) => hashed,
            Err(bad) => {
                if let Some(part) = missing(bad.clone()) {
                    self.part(part);
                }
                return reject(bad, self.env);
            }
        };
        self.part(part(hashed.clone()));
        match self.decider.judge(hashed) {
            Ok(scored) => rank(scored, self.env),
            Err(bad) => reject(bad, self.env),
        }
    }

    fn part(&mut self, part: Part) {
        if let Some(whole) = collect(part, &mut self.open) {
            self.whole(whole);
        }
    }

    fn whole(&mut self, whole: WholeBlock) {
        match root(whole) {
            Ok(matched) => roots(matched, self.env),
            Err(bad) => reject(bad, self.env),
        }
    }
}
