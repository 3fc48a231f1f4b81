//! Which kind of event comes: 30/25/20/10/10/5 per cent.
//!
//! Every twenty events have the exact shares, in an order that is drawn, so that two trials with other seeds have the same work.

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

/// Of twenty events.
const SHARES: [(Kind, usize); 6] = [
    (Kind::Order, 6),
    (Kind::Quote, 5),
    (Kind::Trade, 4),
    (Kind::Cancel, 2),
    (Kind::Position, 2),
    (Kind::Audit, 1),
];

/// The kinds of events, without end.
#[derive(Clone, Debug)]
pub struct Mix {
    random: Random,
    /// The rest of the twenty.
    left: Vec<Kind>,
}

impl Mix {
    /// Drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            left: Vec::new(),
        }
    }
}

impl Iterator for Mix {
    type Item = Kind;

    fn next(&mut self) -> Option<Kind> {
        if self.left.is_empty() {
            self.left.extend(
                SHARES
                    .iter()
                    .flat_map(|(kind, share)| std::iter::repeat_n(*kind, *share)),
            );
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

    #[test]
    fn every_twenty_events_have_the_exact_shares() {
        let events: Vec<Kind> = Mix::new(5).take(2000).collect();
        for twenty in events.chunks(20) {
            for (kind, share) in SHARES {
                assert_eq!(
                    twenty.iter().filter(|one| **one == kind).count(),
                    share,
                    "{kind:?}"
                );
            }
        }
        assert_ne!(events[..20], events[20..40], "their order is drawn");
    }
}
