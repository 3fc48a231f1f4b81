//! A run that is drained, within a time or without, or stopped, while items wait for another try or for a breaker, and the numbers
//! of the run change.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use pipewright::{Batch, Classify, Failed, Report, RunError, Running, pipeline};
use shuttle::sync::atomic::{AtomicU64, Ordering};

use crate::harness::{Seen, any, balanced, check, pause, start, uneven};

/// Items of each sender.
const EACH: u64 = 16;
const SENDERS: u64 = 2;

/// What the stage calls: it fails for each item once, and in some calls for any.
#[derive(Clone)]
pub struct Env {
    calls: Arc<AtomicU64>,
    tried: Arc<Mutex<[bool; (EACH * SENDERS) as usize]>>,
    ends: Seen<u64>,
}

impl Env {
    fn call(&self, n: u64) -> Result<u64, Down> {
        uneven(n);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let tried = std::mem::replace(&mut self.tried.lock().unwrap()[n as usize], true);
        match !tried && n.is_multiple_of(3) || (8..12).contains(&call) {
            true => Err(Down(n)),
            false => Ok(n),
        }
    }
}

#[derive(Debug)]
pub struct Down(u64);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer for {}", self.0)
    }
}

impl Classify for Down {}

#[pipeline(env = Env, quantum = "1us")]
mod tried {
    use super::*;

    #[stage(from = input, queue = 8, batch = 4, linger = "30us")]
    pub fn pack(_: &mut Batch<u64>) {}

    #[stage(from = pack, retry(max = 5, backoff = "20us"), breaker(
        window = 10, min_items = 4, failure_pct = 60, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2
    ))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    #[stage(from = ask, key = |n: &u64| n % 4)]
    pub fn keyed(n: u64, last: &mut Option<u64>) -> u64 {
        assert!(last.is_none_or(|last| last < n), "{last:?} came before {n}");
        *last = Some(n);
        n
    }

    #[sink(from = keyed)]
    pub fn publish(n: u64, env: &Env) {
        env.ends.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.ends.see(down.0);
    }
}

type Ended = Result<Report<tried::Pipeline>, Box<Failed<tried::Pipeline>>>;

fn retune(run: &Running<tried::Pipeline>) {
    let text = format!(
        "(memory: \"{}Ki\", quantum: \"{}us\", stages: {{ \"pack\": (batch: {}, linger: \"{}us\") }})",
        1 << any(8),
        1 + any(8),
        1 + any(8),
        1 + any(50),
    );
    run.retune("by the schedule", &text).unwrap();
}

/// Sends, changes numbers, and ends the run at any time; what was taken, what came to an end, and how it ended.
fn ending(end: fn(Running<tried::Pipeline>) -> Ended) -> (u64, Vec<u64>, Ended) {
    let env = Env {
        calls: Arc::new(AtomicU64::new(0)),
        tried: Arc::new(Mutex::new([false; (EACH * SENDERS) as usize])),
        ends: Seen::new(),
    };
    let run = start(tried::pipeline(), env.clone());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let input = run.input();
            shuttle::thread::spawn(move || {
                // Keys are of one sender, who counts up.
                let own = (sender..EACH * SENDERS).step_by(SENDERS as usize);
                own.take_while(|n| input.send(*n).is_ok()).count() as u64
            })
        })
        .collect();
    for _ in 0..1 + any(3) {
        pause(150);
        retune(&run);
    }
    let ended = end(run);
    let taken = senders.into_iter().map(|sender| sender.join().unwrap());
    let taken = taken.sum();
    let mut ends = env.ends.take();
    ends.sort_unstable();
    (taken, ends, ended)
}

fn once_each(ends: &[u64]) {
    assert!(
        ends.windows(2).all(|two| two[0] < two[1]),
        "twice: {ends:?}"
    );
}

#[test]
fn a_drain_while_items_are_tried_again_and_numbers_change_loses_nothing() {
    check(|| {
        let (taken, ends, ended) = ending(Running::drain);
        let report = ended.unwrap();
        balanced(&report);
        once_each(&ends);
        assert_eq!(
            (ends.len() as u64, report.ledger().dropped),
            (taken, 0),
            "{report}"
        );
    });
}

#[test]
fn a_drain_that_has_little_time_accounts_for_what_it_drops() {
    check(|| {
        let (taken, ends, ended) =
            ending(|run| run.drain_within(Duration::from_micros(1 + any(2_000))));
        let report = ended.unwrap_or_else(|failed| {
            assert!(
                matches!(failed.error, RunError::Deadline { .. }),
                "{failed}"
            );
            failed.report
        });
        balanced(&report);
        once_each(&ends);
        let dropped = report.ledger().dropped;
        assert_eq!(ends.len() as u64 + dropped, taken, "{report}");
    });
}

#[test]
fn a_stop_while_items_are_tried_again_and_numbers_change_counts_what_it_drops() {
    check(|| {
        let (taken, ends, ended) = ending(Running::stop);
        let report = ended.unwrap();
        balanced(&report);
        once_each(&ends);
        assert_eq!(
            ends.len() as u64 + report.ledger().dropped,
            taken,
            "{report}"
        );
    });
}
