//! A line of stages: access log in, bytes per path out.
//!
//! Plain functions become one loop. `Option` leaves an item out, `&T -> bool` is a filter, and a sink with `&mut S` has
//! one state, which the report hands out at the end.

#![forbid(unsafe_code)]

use std::{collections::BTreeMap, error::Error};

use pipewright::pipeline;

const LOG: &str = "\
10.0.0.7 GET /index.html 200 5120
10.0.0.9 GET /health 200 2
10.0.0.7 GET /logo.svg 200 913
10.0.0.8 GET /index.html 304 0
10.0.0.9 GET /health 200 2
a line that somebody cut short
10.0.0.8 GET /prices.json 200 20480
10.0.0.7 GET /prices.json 200 20480";

/// One answered request.
#[derive(Debug)]
pub struct Hit {
    path: String,
    bytes: u64,
}

/// Adds up what each path costs.
#[pipeline]
pub mod traffic {
    use super::*;

    /// The log, line by line.
    #[source]
    pub fn lines() -> impl Iterator<Item = String> {
        LOG.lines().map(str::to_owned)
    }

    /// A line that is no request is left out, and counted as filtered.
    #[stage(from = lines)]
    pub fn parse(line: String) -> Option<Hit> {
        let mut words = line.split(' ').skip(1);
        words.next().filter(|method| *method == "GET")?;
        let path = words.next()?.to_owned();
        let bytes = words.nth(1)?.parse().ok()?;
        Some(Hit { path, bytes })
    }

    /// Nobody pays for health checks.
    #[stage(from = parse)]
    pub fn is_paid(hit: &Hit) -> bool {
        hit.path != "/health"
    }

    /// The head of an answer is paid for too.
    #[stage(from = is_paid)]
    pub fn add_head(hit: &mut Hit) {
        const HEAD: u64 = 200;
        hit.bytes += HEAD;
    }

    /// Called for one item at a time, in the order of the log.
    #[sink(from = add_head)]
    pub fn total(hit: Hit, bytes: &mut BTreeMap<String, u64>) {
        *bytes.entry(hit.path).or_default() += hit.bytes;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut report = traffic::pipeline().start(())?.wait()?;
    for (path, bytes) in report.take_state::<traffic::total>().unwrap_or_default() {
        println!("{path:14} {bytes:6} bytes");
    }
    println!("\n{report}");
    Ok(())
}
