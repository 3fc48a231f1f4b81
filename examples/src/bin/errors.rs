//! Errors and panics: nothing is lost silently, and nothing that one item does harms the others.
//!
//! A stage that returns `Result` has a second door, `stage::Err`, and somebody must read it; or `on_error` says `drop`
//! or `stop`. A panic in a stage without state loses the item that caused it, and no other. A run that fails still gives
//! its report, in the error.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::{RunError, pipeline};

const PAYMENTS: [&str; 8] = [
    "12.50",
    "3.00",
    "ten",
    "7.25",
    "",
    "1000000.00",
    "0.00",
    "41.00",
];

/// Reads and books payments.
#[pipeline]
pub mod payments {
    use super::*;

    /// What the customers typed.
    #[source]
    pub fn lines() -> impl Iterator<Item = String> {
        PAYMENTS.into_iter().map(str::to_owned)
    }

    /// Its errors are read below, as items.
    #[stage(from = lines)]
    pub fn parse(line: String) -> Result<f64, String> {
        line.parse().map_err(|why| format!("`{line}`: {why}"))
    }

    /// Its errors are counted, and dropped.
    #[stage(from = parse, on_error = drop)]
    pub fn limit(amount: f64) -> Result<f64, &'static str> {
        if amount < 10_000.0 {
            Ok(amount)
        } else {
            Err("too much")
        }
    }

    /// This has a mistake in it, and one item finds it.
    #[stage(from = limit)]
    pub fn whole_share(amount: f64) -> u32 {
        let cents = (amount * 100.0) as u32;
        10_000 / cents
    }

    /// Gets what went well.
    #[sink(from = whole_share)]
    pub fn book(share: u32) {
        println!("booked a share of {share}");
    }

    /// Gets the errors, in the order of the source.
    #[sink(from = parse::Err)]
    pub fn complain(why: String) {
        println!("not a payment: {why}");
    }
}

/// Writes to a disk that is nearly full.
#[pipeline]
pub mod ledger {
    /// More than the disk can hold.
    #[source]
    pub fn amounts() -> impl Iterator<Item = u32> {
        1..=1000
    }

    /// An error of this sink ends the run.
    #[sink(from = amounts, on_error = stop)]
    pub fn write(amount: u32) -> Result<(), String> {
        if amount > 600 {
            Err(format!("the disk is full at {amount}"))
        } else {
            Ok(())
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = payments::pipeline().start(())?.wait()?;
    for note in report.panics() {
        println!("a mistake was found in `{}`: {}", note.stage, note.message);
    }
    println!("\n{report}\n");

    match ledger::pipeline().start(())?.wait() {
        Ok(report) => println!("{report}"),
        Err(failed) => {
            if let RunError::Failed { stage, .. } = &failed.error {
                println!("`{stage}` ended the run");
            }
            println!("error: {failed}\n\n{}", failed.report);
        }
    }
    Ok(())
}
