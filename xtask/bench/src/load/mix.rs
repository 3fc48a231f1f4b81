//! Which kind of event comes: 30/25/20/10/10/5 per cent, if nothing else is asked.
//!
//! Every round (twenty events, of that mix) has the exact shares, in an order that is drawn, so that two trials with other seeds
//! have the same work.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 30 %.
    Order,
    /// 25 %.
    Quote,
    /// 20 %.
    Trade,
    /// 10 %.
    Cancel,
    /// 10 %.
    Position,
    /// 5 %.
    Audit,
}

impl Kind {
    /// All of them, in the order of their shares.
    pub const ALL: [Self; 6] = [
        Self::Order,
        Self::Quote,
        Self::Trade,
        Self::Cancel,
        Self::Position,
        Self::Audit,
    ];
}

/// Which share each kind has, in the order of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[u16; 6]", into = "[u16; 6]")]
pub struct Shares([u16; 6]);

impl Default for Shares {
    /// 30/25/20/10/10/5 per cent.
    fn default() -> Self {
        Self([6, 5, 4, 2, 2, 1])
    }
}

impl From<Shares> for [u16; 6] {
    fn from(shares: Shares) -> Self {
        shares.0
    }
}

impl TryFrom<[u16; 6]> for Shares {
    type Error = String;

    /// Any numbers, which are shortened by what divides all of them.
    fn try_from(shares: [u16; 6]) -> Result<Self, String> {
        let divisor = shares.iter().copied().fold(0, divisor);
        match divisor {
            0 => Err("a mix has at least one kind of event".to_owned()),
            _ => Ok(Self(shares.map(|share| share / divisor))),
        }
    }
}

/// The greatest number that divides both (Euclid).
fn divisor(a: u16, b: u16) -> u16 {
    match b {
        0 => a,
        _ => divisor(b, a % b),
    }
}

/// The kinds of events, without end.
#[derive(Clone, Debug)]
pub struct Mix {
    random: Random,
    shares: Shares,
    /// The rest of the round.
    left: Vec<Kind>,
}

impl Mix {
    /// Drawn from this seed.
    pub fn new(seed: u64, shares: Shares) -> Self {
        Self {
            random: Random(seed),
            shares,
            left: Vec::new(),
        }
    }
}

impl Iterator for Mix {
    type Item = Kind;

    fn next(&mut self) -> Option<Kind> {
        if self.left.is_empty() {
            let kinds = Kind::ALL.into_iter().zip(self.shares.0);
            self.left
                .extend(kinds.flat_map(|(kind, share)| std::iter::repeat_n(kind, share.into())));
            // Fisher and Yates.
            for at in (1..self.left.len()).rev() {
                let other = self.random.next_u64() % (at as u64 + 1);
                self.left.swap(at, other as usize);
            }
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shares: [u16; 6], round: usize, expect: [usize; 6]) {
        let mix = Mix::new(5, Shares::try_from(shares).expect("it is a mix"));
        let events: Vec<Kind> = mix.take(100 * round).collect();
        for events in events.chunks(round) {
            let found = Kind::ALL.map(|kind| events.iter().filter(|one| **one == kind).count());
            assert_eq!(found, expect);
        }
        assert_ne!(
            events[..4 * round],
            events[4 * round..8 * round],
            "their order is drawn"
        );
    }

    #[test]
    fn every_round_has_the_exact_shares() {
        check([30, 25, 20, 10, 10, 5], 20, [6, 5, 4, 2, 2, 1]);
        check([50, 0, 0, 0, 25, 25], 4, [2, 0, 0, 0, 1, 1]);
        check([1, 1, 1, 1, 1, 1], 6, [1; 6]);
        assert_eq!(
            Shares::try_from([30, 25, 20, 10, 10, 5]),
            Ok(Shares::default())
        );
    }

    #[test]
    fn a_mix_of_nothing_is_refused() {
        assert!(Shares::try_from([0; 6]).is_err());
        assert!(serde_json::from_str::<Shares>("[0,0,0,0,0,0]").is_err());
    }
}
