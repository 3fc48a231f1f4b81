//! Async stages: an `async fn` waits for others without holding a worker, up to `in_flight` of its futures at once.
//!
//! What it sends is in the order of the source, whichever future ends first. `timeout` cancels a future and lets its item leave as
//! an error; `retry` tries again. With the feature `tokio`, timers and sockets of tokio work in it.

#![forbid(unsafe_code)]

use std::{error::Error, time::Duration};

use pipewright::{Classify, ErrorClass, TimedOut, pipeline};
use tokio::time::sleep;

/// Why there is no quote.
#[derive(Debug)]
pub enum QuoteError {
    /// The exchange did not answer in time.
    Late(TimedOut),
    /// It does not know the symbol.
    Unknown(u32),
}

impl Classify for QuoteError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Late(_) => ErrorClass::Timeout,
            Self::Unknown(_) => ErrorClass::Item,
        }
    }
}

impl From<TimedOut> for QuoteError {
    fn from(late: TimedOut) -> Self {
        Self::Late(late)
    }
}

impl std::fmt::Display for QuoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late(late) => write!(f, "no quote: {late}"),
            Self::Unknown(symbol) => write!(f, "no symbol {symbol}"),
        }
    }
}

/// Where quotes come from.
#[derive(Debug)]
pub struct Exchange {
    delay: Duration,
}

impl Exchange {
    /// Answers after a while; for one symbol never.
    async fn quote(&self, symbol: u32) -> Result<u32, QuoteError> {
        if symbol == 42 {
            std::future::pending::<()>().await;
        }
        sleep(self.delay * (symbol % 5)).await;
        match symbol % 100 {
            99 => Err(QuoteError::Unknown(symbol)),
            _ => Ok(symbol * 3),
        }
    }
}

/// Asks for quotes.
#[pipeline(env = Exchange)]
pub mod quotes {
    use super::*;

    /// What is asked for.
    #[source]
    pub fn symbols() -> std::ops::Range<u32> {
        0..500
    }

    /// As many questions as that are under way, and no worker waits for them.
    #[stage(from = symbols, in_flight = 128, timeout = "500ms", retry(max = 1))]
    pub async fn ask(symbol: u32, exchange: &Exchange) -> Result<(u32, u32), QuoteError> {
        Ok((symbol, exchange.quote(symbol).await?))
    }

    /// Sees the quotes in the order of the symbols.
    #[sink(from = ask)]
    pub fn publish((symbol, _price): (u32, u32), last: &mut u32) {
        assert!(*last <= symbol, "they come in order");
        *last = symbol;
    }

    /// Sees why there is none.
    #[sink(from = ask::Err)]
    pub fn complain(error: QuoteError) {
        println!("{error}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let delay = Duration::from_millis(2);
    let report = quotes::pipeline().start(Exchange { delay })?.wait()?;
    println!("{report}");
    let complaints = report.metrics().stage::<quotes::complain>().received;
    assert_eq!(complaints, 6, "one is late, and five are unknown");
    Ok(())
}
