//! Keyed state: one `&mut S` for each key.
//!
//! `key` says what an item belongs to, here the account of a booking. Bookings of one account are handled one after the
//! other, in their order; different accounts run on different workers at the same time. No locks, and no account is seen
//! by two workers at once.

#![forbid(unsafe_code)]

use std::{collections::BTreeMap, error::Error};

use pipewright::pipeline;

const ACCOUNTS: u32 = 5;

/// Money that is paid in (positive) or drawn (negative).
#[derive(Debug)]
pub struct Booking {
    account: u32,
    cents: i64,
}

impl Booking {
    fn account(&self) -> u32 {
        self.account
    }
}

/// The state of one account.
#[derive(Debug, Default)]
pub struct Balance {
    cents: i64,
    bookings: u32,
}

/// A line of a statement.
#[derive(Debug)]
pub struct Line {
    account: u32,
    bookings: u32,
    balance: i64,
}

/// Keeps the accounts.
#[pipeline]
pub mod bank {
    use super::*;

    /// Bookings of all accounts, mixed.
    #[source]
    pub fn bookings() -> impl Iterator<Item = Booking> {
        (0..20_000u32).map(|n| Booking {
            account: n % ACCOUNTS,
            cents: i64::from(n.wrapping_mul(2_654_435_761) >> 22) - 500,
        })
    }

    /// Each account has its own `Balance`; the first booking makes it. What would overdraw it is left out.
    #[stage(from = bookings, key = Booking::account)]
    pub fn book(booking: Booking, balance: &mut Balance) -> Option<Line> {
        let after = balance.cents + booking.cents;
        if after < 0 {
            return None;
        }
        balance.cents = after;
        balance.bookings += 1;
        Some(Line {
            account: booking.account,
            bookings: balance.bookings,
            balance: after,
        })
    }

    /// Lines of one account come in order, so the last one is its balance.
    #[sink(from = book)]
    pub fn statement(line: Line, last: &mut BTreeMap<u32, Line>) {
        last.insert(line.account, line);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut report = bank::pipeline().workers(2).start(())?.wait()?;
    for (account, line) in report.take_state::<bank::statement>().unwrap_or_default() {
        println!(
            "account {account}: {:4} bookings, {:8.2}",
            line.bookings,
            line.balance as f64 / 100.0
        );
    }
    println!("\n{report}");
    Ok(())
}
