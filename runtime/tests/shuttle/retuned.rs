//! Numbers change while the run goes on: a polled source with a long rest, batches that wait to be filled, the memory limit, and who
//! is served first.

use pipewright::{Batch, Emit, Flow, Running, pipeline};

use crate::harness::{Seen, any, check, ended, pause, start, uneven};

/// Items of a run.
const ITEMS: u64 = 60;

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod numbers {
    use super::*;

    #[source(idle = "60min", batch = 4)]
    pub fn poll(next: &mut u64, out: &mut Emit<u64>) -> Flow {
        if *next == ITEMS {
            return Flow::Done;
        }
        out.send(*next);
        *next += 1;
        if next.is_multiple_of(3) {
            Flow::Idle
        } else {
            Flow::More
        }
    }

    #[stage(from = poll, batch = 8, linger = "60min")]
    pub fn pack(batch: &mut Batch<u64>) {
        assert!(batch.len() <= 8);
        for n in batch {
            *n = uneven(*n);
        }
    }

    #[sink(from = pack)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

fn lane() -> &'static str {
    ["critical", "high", "normal", "low"][any(4) as usize]
}

fn retune(run: &Running<numbers::Pipeline>) {
    let text = format!(
        "(memory: \"{}Ki\", quantum: \"{}us\", stages: {{ \"poll\": (idle: \"{}ns\", batch: {}, priority: {}), \"pack\": (batch: {}), \"last\": (priority: {}) }})",
        1 << any(10),
        1 + any(8),
        1 + any(50),
        1 + any(8),
        lane(),
        1 + any(8),
        lane(),
    );
    run.retune("by the schedule", &text).unwrap();
}

#[test]
fn a_run_whose_numbers_change_goes_on_and_loses_nothing() {
    check(|| {
        let seen = Seen::new();
        let run = start(numbers::pipeline(), seen.clone());
        let changes = 1 + any(4);
        for _ in 0..changes {
            pause(100);
            retune(&run);
        }
        let report = ended(run.wait());
        assert_eq!(seen.take(), (0..ITEMS).collect::<Vec<_>>(), "{report}");
        assert_eq!(report.retunings().len() as u64, changes);
    });
}
