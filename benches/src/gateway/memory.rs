//! The whole gateway: what a call takes, and whether anything stays behind.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fastrand::Rng;
use pipewright::Caller;
use pipewright_bench::stats::{mann_kendall, theil_sen};
use pipewright_pipelines::gateway::{
    env::Config,
    flow::gateway::Pipeline,
    request::{Incoming, Request},
    run::Settings,
};

use super::servers::resident;
use crate::{
    measure::{Case, rounds},
    table::{Table, number},
};

/// Looks at the memory in a run without a soak.
const LOOKS: u64 = 50;
/// What may be more at the end than when the cache was full: 2 MiB.
const MAY_GROW: i64 = 2 << 20;
/// What a request may leave behind, in bytes, where memory goes up all the time: what the system tells are whole pages, which come
/// now and then for other reasons, too.
const MAY_LEAVE: f64 = 1.0;
/// How likely it may be that memory which does not go up looks as if it did.
const UNLIKELY: f64 = 0.01;

/// What became of the memory.
#[derive(Debug)]
pub struct Grown {
    /// The table.
    pub table: Table,
    /// How much more there was at the end, in bytes.
    pub grown: i64,
    /// How many bytes each request left behind, by the line of Theil and Sen.
    pub slope: f64,
    /// How likely memory that does not grow is to look so, by the test of Mann and Kendall.
    pub p: f64,
    /// Whether that is little enough.
    pub is_stable: bool,
    /// How many requests there were.
    pub requests: u64,
    /// Answers that were not those of the policy, and how many of each.
    pub missed: BTreeMap<String, u64>,
}

fn settings() -> Settings {
    Settings {
        config: Config {
            // Full after some thousand requests, so that growth behind that is none of the cache's.
            cache_bytes: 1 << 20,
            ..Config::default()
        },
        workers: Some(2),
        ..Settings::default()
    }
}

fn request(n: u64) -> Incoming {
    let request = Request {
        id: None,
        tenant: "group".to_owned(),
        subject: "root".to_owned(),
        action: "read".to_owned(),
        resource: format!("doc:{n}"),
        context: serde_json::Map::new(),
    };
    request.into()
}

/// What the gateway says to a request of the administrator, who may; and if it does not say that, what it says instead.
fn ask(caller: &Caller<Pipeline>, n: u64) -> Result<(), String> {
    match caller.call(request(n)) {
        Ok(answer) if answer.allow => Ok(()),
        Ok(answer) => Err(format!("{:?}: {}", answer.code, answer.reason)),
        Err(error) => Err(error.to_string()),
    }
}

/// # Panics
///
/// If it is another answer than that of the policy.
fn must(answer: Result<(), String>) {
    answer.unwrap_or_else(|instead| panic!("the administrator may, and the answer is {instead}"));
}

/// What a call takes from beginning to end.
///
/// # Panics
///
/// If the gateway does not start.
pub fn calls(times: usize, calls: usize) -> Table {
    let gateway = settings()
        .start(|_| ())
        .expect("the built-in policies are right");
    let caller = gateway.caller();
    let mut rng = Rng::with_seed(2);
    let mut cases = [
        Case::new(
            "a call, from the cache",
            calls,
            || must(ask(&caller, 1)),
            |_| must(ask(&caller, 1)),
        ),
        Case::new(
            "a call, decided by a policy",
            calls,
            || (),
            |_| must(ask(&caller, rng.u64(..))),
        ),
    ];
    let found = rounds(times, &mut cases);
    drop(cases);
    assert!(gateway.drain(None).is_good());
    Table::of_calls("The whole gateway, one caller, two workers", &found)
}

/// Asks so often, or for so long, and looks at the memory.
///
/// # Errors
///
/// If the system does not tell how much memory there is.
///
/// # Panics
///
/// If the gateway does not start.
pub fn grown(requests: u64, soak: Option<Duration>) -> std::io::Result<Grown> {
    let gateway = settings()
        .start(|_| ())
        .expect("the built-in policies are right");
    let caller = gateway.caller();
    let (mut rng, begun) = (Rng::with_seed(3), Instant::now());
    let mut missed = BTreeMap::new();
    let mut seen = vec![(0, resident()?)];
    let (mut done, step) = (0, requests.div_ceil(LOOKS));
    while done < requests || soak.is_some_and(|soak| begun.elapsed() < soak) {
        for _ in 0..step {
            // Some are known, most are new.
            let n = if rng.u8(..) < 64 {
                rng.u64(..100)
            } else {
                rng.u64(..)
            };
            if let Err(instead) = ask(&caller, n) {
                *missed.entry(instead).or_default() += 1;
            }
        }
        done += step;
        seen.push((done, resident()?));
    }
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    // From a fifth of the way on, everything has been there once.
    let from = seen.len().div_ceil(5).min(seen.len() - 1);
    let (first, last) = (seen[from], seen[seen.len() - 1]);
    let grown = last.1 as i64 - first.1 as i64;
    let points: Vec<_> = seen[from..]
        .iter()
        .map(|(requests, bytes)| (*requests as f64, *bytes as f64))
        .collect();
    let slope = theil_sen(&points).unwrap_or_default();
    let bytes: Vec<_> = points.iter().map(|(_, bytes)| *bytes).collect();
    let p = mann_kendall(&bytes).p;
    let leaks = p < UNLIKELY && slope > MAY_LEAVE;
    let mut table = Table::new(
        "Memory of a process with the whole gateway",
        &["requests", "resident, KiB"],
    );
    let rows = seen.len().div_ceil(10).max(1);
    for (requests, bytes) in seen.iter().step_by(rows) {
        table.row([number(*requests as f64), number(*bytes as f64 / 1024.0)]);
    }
    if (seen.len() - 1) % rows != 0 {
        table.row([number(last.0 as f64), number(last.1 as f64 / 1024.0)]);
    }
    Ok(Grown {
        table,
        grown,
        slope,
        p,
        is_stable: grown <= MAY_GROW && !leaks,
        requests: done,
        missed,
    })
}
