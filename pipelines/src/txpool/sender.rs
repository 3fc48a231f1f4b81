//! What a pool knows of one sender: its next nonce, and what its waiting transactions pay.

use std::collections::VecDeque;

use alloy_consensus::Transaction;
use alloy_primitives::Address;
use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{Kept, Recovered, Tx},
};

/// How many of a sender's latest transactions can be replaced.
const MOST_WAITING: usize = 64;

/// One sender, as far as the current view of the chain shows it.
#[derive(Debug, Default)]
pub struct Account {
    view: Option<u32>,
    next: u64,
    /// What the transactions with the nonces just before `next` pay.
    waiting: VecDeque<Fees>,
}

#[derive(Debug, Clone, Copy)]
struct Fees {
    max: u128,
    tip: u128,
    blob: Option<u128>,
}

/// Who a transaction is from: the key that the sender state hangs on.
pub fn sender_of(tx: &Recovered) -> Address {
    tx.sender
}

/// Keeps a sender's transactions in the order of their nonces.
///
/// The first nonce of a view counts as the next one. One that leaves a gap is refused; one that was used replaces the
/// transaction it was used by if it pays at least 10 % more (100 % more where blobs are involved) in every fee.
#[stage(key = sender_of)]
pub fn sender(tx: Recovered, account: &mut Account) -> Result<Kept, Reject> {
    let view = tx.place.block.origin.view;
    if account.view != Some(view) {
        *account = Account {
            view: Some(view),
            next: tx.tx.nonce(),
            waiting: VecDeque::new(),
        };
    }
    match account.admit(tx.tx.nonce(), Fees::of(&tx.tx)) {
        Ok(replaces) => Ok(Kept {
            signed: tx,
            replaces,
        }),
        Err(reason) => Err(Reject::tx(tx.place, reason)),
    }
}

impl Account {
    /// Whether the transaction takes the place of another one; or why it cannot be kept.
    fn admit(&mut self, nonce: u64, fees: Fees) -> Result<bool, Reason> {
        let next = self.next;
        if nonce > next {
            return Err(Reason::NonceGap { nonce, next });
        }
        if nonce == next {
            // The last nonce of all is not valid (EIP-2681), so that a next one is always there.
            self.next = next
                .checked_add(1)
                .ok_or(Reason::NonceGap { nonce, next })?;
            if self.waiting.len() == MOST_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(fees);
            return Ok(false);
        }
        let back = usize::try_from(next - nonce).ok();
        let waiting = back
            .and_then(|back| self.waiting.len().checked_sub(back))
            .and_then(|at| self.waiting.get_mut(at));
        let old = waiting.ok_or(Reason::NonceTooLow { nonce, next })?;
        let bump = old.bump(&fees);
        if !fees.pays_more(old, bump) {
            return Err(Reason::Underpriced { nonce, bump });
        }
        *old = fees;
        Ok(true)
    }
}

impl Fees {
    fn of(tx: &Tx) -> Self {
        Self {
            max: tx.max_fee_per_gas(),
            tip: tx.priority_fee_or_price(),
            blob: tx.max_fee_per_blob_gas(),
        }
    }

    /// What a replacement must pay more, in percent.
    fn bump(&self, by: &Self) -> u8 {
        if self.blob.is_some() || by.blob.is_some() {
            100
        } else {
            10
        }
    }

    fn pays_more(&self, old: &Self, bump: u8) -> bool {
        let least = |old: u128| old.saturating_add(percent(old, bump));
        self.max >= least(old.max)
            && self.tip >= least(old.tip)
            && self.blob.unwrap_or(0) >= old.blob.map_or(0, least)
    }
}

/// So many percent of a fee, rounded up; without overflow for any fee.
fn percent(fee: u128, percent: u8) -> u128 {
    let percent = u128::from(percent);
    (fee / 100) * percent + (fee % 100 * percent).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fees(max: u128, tip: u128) -> Fees {
        Fees {
            max,
            tip,
            blob: None,
        }
    }

    fn blob(max: u128, tip: u128, blob: u128) -> Fees {
        Fees {
            max,
            tip,
            blob: Some(blob),
        }
    }

    /// Offers transactions to a sender whose next nonce is 5.
    fn check(offers: &[(u64, Fees, Result<bool, &str>)]) {
        let mut account = Account {
            view: Some(0),
            next: 5,
            waiting: VecDeque::new(),
        };
        for (nonce, fees, expect) in offers {
            let found = account.admit(*nonce, *fees).map_err(|reason| reason.code());
            assert_eq!(&found, expect, "nonce {nonce}");
        }
    }

    #[test]
    fn nonces_go_up_one_by_one() {
        let fee = fees(100, 10);
        check(&[
            (5, fee, Ok(false)),
            (6, fee, Ok(false)),
            (8, fee, Err("nonce_gap")),
            (7, fee, Ok(false)),
        ]);
        check(&[
            (4, fee, Err("nonce_too_low")),
            (5, fee, Ok(false)),
            (4, fee, Err("nonce_too_low")),
        ]);
        check(&[(u64::MAX, fee, Err("nonce_gap"))]);
    }

    #[test]
    fn a_replacement_pays_a_tenth_more_in_every_fee() {
        let (old, expect) = (fees(100, 10), Err("underpriced"));
        check(&[
            (5, old, Ok(false)),
            (5, fees(110, 11), Ok(true)),
            (5, fees(120, 13), expect),
            (5, fees(121, 13), Ok(true)),
        ]);
        check(&[
            (5, old, Ok(false)),
            (5, fees(109, 11), expect),
            (5, fees(110, 10), expect),
            (5, old, expect),
        ]);
        check(&[
            (5, fees(1, 1), Ok(false)),
            (5, fees(1, 1), expect),
            (5, fees(2, 2), Ok(true)),
        ]);
        check(&[
            (5, fees(u128::MAX, 1), Ok(false)),
            (5, fees(u128::MAX, 2), Ok(true)),
        ]);
    }

    #[test]
    fn a_blob_is_replaced_for_twice_its_fees() {
        let (old, expect) = (blob(100, 10, 50), Err("underpriced"));
        check(&[
            (5, old, Ok(false)),
            (5, blob(110, 11, 55), expect),
            (5, blob(200, 20, 99), expect),
            (5, blob(200, 20, 100), Ok(true)),
        ]);
        check(&[(5, old, Ok(false)), (5, fees(1000, 1000), expect)]);
    }

    #[test]
    fn only_the_latest_can_be_replaced() {
        let mut account = Account::default();
        for nonce in 0..100 {
            assert_eq!(account.admit(nonce, fees(100, 10)), Ok(false));
        }
        assert_eq!(
            account.admit(100 - MOST_WAITING as u64, fees(200, 20)),
            Ok(true)
        );
        assert_eq!(
            account.admit(99 - MOST_WAITING as u64, fees(200, 20)),
            Err(Reason::NonceTooLow {
                nonce: 35,
                next: 100
            })
        );
    }

    #[test]
    fn the_last_nonce_of_all_does_not_overflow() {
        let mut account = Account {
            view: Some(0),
            next: u64::MAX,
            waiting: VecDeque::new(),
        };
        assert!(account.admit(u64::MAX, fees(1, 1)).is_err());
    }
}
