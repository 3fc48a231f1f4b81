//! pipewright: items to a stage that every worker runs, from a source that sends them one by one and from outside.

use pipewright::{Emit, Flow, pipeline};

use super::{Tasks, numbers, task};
use crate::harness::Contender;

/// Items of one call of the source. What a call sends leaves when it returns.
const BURST: u64 = 1024;

/// From a source.
#[pipeline(env = u64)]
pub mod inside {
    use super::*;

    #[source]
    pub fn tasks(env: &u64, sent: &mut u64, out: &mut Emit<u64>) -> Flow {
        let end = *env.min(&(*sent + BURST));
        while *sent < end {
            *sent += 1;
            out.send(*sent);
        }
        if end < *env { Flow::More } else { Flow::Done }
    }

    #[sink(from = tasks, order = any)]
    pub fn run(number: u64) {
        task(number);
    }
}

/// From threads of the program.
#[pipeline]
pub mod outside {
    use super::*;

    #[sink(from = input, order = any, queue = 65536)]
    pub fn run(number: u64) {
        task(number);
    }
}

fn from_source(count: u64) {
    let report = inside::pipeline().workers(2).run(count);
    assert_eq!(report.expect("nothing fails").ledger().delivered, count);
}

fn sent(count: u64) {
    let run = outside::pipeline()
        .workers(2)
        .start(())
        .expect("the pipeline starts");
    numbers(count).for_each(|number| run.send(number).expect("it takes items"));
    assert_eq!(
        run.drain().expect("nothing fails").ledger().delivered,
        count
    );
}

fn sent_in_batches(count: u64) {
    let run = outside::pipeline()
        .workers(2)
        .start(())
        .expect("the pipeline starts");
    let mut left = numbers(count);
    let mut batch = Vec::with_capacity(BURST as usize);
    while !left.is_empty() {
        batch.extend(left.by_ref().take(BURST as usize));
        run.send_batch(&mut batch).expect("it takes items");
    }
    assert_eq!(
        run.drain().expect("nothing fails").ledger().delivered,
        count
    );
}

pub(super) fn contenders(tasks: Tasks) -> Vec<Contender> {
    vec![
        Contender::ours("pipewright, source with Emit", tasks.work(from_source)),
        Contender::ours("pipewright, send from outside", tasks.work(sent)),
        Contender::ours(
            "pipewright, send_batch from outside",
            tasks.work(sent_in_batches),
        ),
    ]
}
