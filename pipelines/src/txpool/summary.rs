//! What a run says at its end: a table for people, one JSON object for programs.

use std::{collections::BTreeMap, fmt};

use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

use super::types::{Kind, Scored};
use crate::ending::Ending;

/// What came out of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Blocks that were recognised, whatever became of them.
    pub blocks: u64,
    /// Transactions that were found, whatever became of them.
    pub transactions: u64,
    /// Transactions whose hash is what the input claims.
    pub hash_matched: u64,
    /// Transactions whose sender is whom the input claims.
    pub sender_matched: u64,
    /// Blocks whose transactions hash to the root that the input claims.
    pub roots_matched: u64,
    /// What was rejected, by reason; blocks and files among it.
    pub rejected: BTreeMap<&'static str, u64>,
    /// What was kept, by kind.
    pub by_kind: Vec<(&'static str, u64)>,
    /// Kept transactions that took the place of another one.
    pub replaced: u64,
    /// The best of what was kept, best first.
    pub best: Vec<Line>,
    /// The first faults of the input, in its order.
    pub faults: Vec<String>,
    /// How many faults there were: rejects that fail the run.
    pub failed: u64,
}

/// A line of the ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The transaction.
    pub hash: B256,
    /// Who sent it.
    pub sender: Address,
    /// What it is for.
    pub kind: Kind,
    /// What it pays the block's builder, in wei per gas.
    pub tip: u128,
    /// The trading function, of a swap.
    pub function: Option<&'static str>,
}

impl Line {
    pub(super) fn of(scored: &Scored) -> Self {
        let signed = &scored.tx.signed;
        Self {
            hash: signed.hash,
            sender: signed.sender,
            kind: scored.kind,
            tip: scored.tip,
            function: scored.function,
        }
    }
}

impl Summary {
    /// How many lines of the ranking are shown.
    pub const SHOWN: usize = 10;

    /// Whether everything that the input claims is so, and all of it could be read.
    pub fn is_good(&self) -> bool {
        let agrees =
            self.hash_matched == self.transactions && self.sender_matched == self.transactions;
        self.failed == 0 && agrees && self.roots_matched == self.blocks
    }

    /// The object that `--json` prints.
    pub fn to_json(&self, ending: &Ending) -> Value {
        ending.add_to(json!({
            "blocks": self.blocks,
            "transactions": self.transactions,
            "hash_matched": self.hash_matched,
            "sender_matched": self.sender_matched,
            "roots_matched": self.roots_matched,
            "rejected": self.rejected,
            "by_kind": self.by_kind.iter().copied().collect::<BTreeMap<_, _>>(),
            "transactions_per_s": ending.rate(self.transactions),
        }))
    }

    /// The tables, with how long it took and the run's own account of its items.
    pub fn text<'a>(&'a self, ending: &'a Ending) -> impl fmt::Display + 'a {
        Text {
            summary: self,
            ending,
        }
    }
}

struct Text<'s> {
    summary: &'s Summary,
    ending: &'s Ending,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, ending } = self;
        let rate = ending.rate(summary.transactions);
        writeln!(
            f,
            "{} transactions of {} blocks in {:.3} s: {rate:.0} a second\n",
            summary.transactions,
            summary.blocks,
            ending.elapsed.as_secs_f64()
        )?;
        checks(f, summary)?;
        let kept: u64 = summary.by_kind.iter().map(|(_, count)| count).sum();
        let replaced = if summary.replaced > 0 {
            format!(" ({} replace another)", summary.replaced)
        } else {
            String::new()
        };
        writeln!(f, "\nkept {kept:>21}{replaced}")?;
        for (kind, count) in &summary.by_kind {
            writeln!(f, "  {kind:<16} {count:>7}")?;
        }
        let rejected: u64 = summary.rejected.values().sum();
        writeln!(f, "\nrejected {rejected:>17}")?;
        for (reason, count) in &summary.rejected {
            writeln!(f, "  {reason:<16} {count:>7}")?;
        }
        ranking(f, &summary.best)?;
        write!(f, "\n{}", ending.ledger)
    }
}

fn checks(f: &mut fmt::Formatter<'_>, summary: &Summary) -> fmt::Result {
    let rows = [
        ("hashes match", summary.hash_matched, summary.transactions),
        (
            "senders match",
            summary.sender_matched,
            summary.transactions,
        ),
        ("roots match", summary.roots_matched, summary.blocks),
    ];
    for (what, matched, of) in rows {
        let verdict = if matched == of { "ok" } else { "FAILED" };
        writeln!(f, "{what:<18} {matched:>7} of {of:<7} {verdict}")?;
    }
    Ok(())
}

fn ranking(f: &mut fmt::Formatter<'_>, best: &[Line]) -> fmt::Result {
    if best.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nbest by tip at the base fee of their block")?;
    writeln!(
        f,
        "  {:>14}  {:<9} {:<42}  transaction",
        "gwei per gas", "kind", "sender"
    )?;
    for line in best {
        let function = line
            .function
            .map(|function| format!("  {function}"))
            .unwrap_or_default();
        // `Kind` and `Address` do not pad themselves.
        let (kind, sender) = (line.kind.name(), line.sender.to_string());
        writeln!(
            f,
            "  {:>14}  {kind:<9} {sender}  {}{function}",
            gwei(line.tip),
            line.hash
        )?;
    }
    Ok(())
}

/// Exact to a thousandth of a gwei, without going through a float.
fn gwei(wei: u128) -> String {
    format!(
        "{}.{:03}",
        wei / 1_000_000_000,
        wei % 1_000_000_000 / 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_shown_in_gwei() {
        let check = |wei, expect: &str| assert_eq!(gwei(wei), expect);
        check(0, "0.000");
        check(1_500_000_000, "1.500");
        check(999_999, "0.000");
        check(u128::MAX, "340282366920938463463374607431.768");
    }
}
