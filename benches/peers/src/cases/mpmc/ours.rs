//! pipewright: clones of a run's input on the producers' threads, a worker for each consumer.

use std::{ops::Range, thread};

use pipewright::{Input, Merge, pipeline};

use super::{BATCH, Size, part};
use crate::harness::Contender;

/// What a worker has received.
#[derive(Debug, Default)]
pub struct Sum(u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[pipeline]
pub mod lanes {
    use super::*;

    #[sink(from = input, queue = 1024, per_worker)]
    pub fn add(number: u64, sum: &mut Sum) {
        sum.0 += number;
    }
}

fn run(sides: usize, items: u64, send: fn(&Input<u64>, Range<u64>)) -> u64 {
    let run = lanes::pipeline()
        .workers(sides)
        .start(())
        .expect("the pipeline starts");
    thread::scope(|scope| {
        for side in 0..sides {
            let input = run.input();
            scope.spawn(move || send(&input, part(items, sides, side)));
        }
    });
    let mut report = run.drain().expect("nothing fails");
    report
        .take_state::<lanes::add>()
        .expect("the sink has a state")
        .0
}

fn one_by_one(input: &Input<u64>, mut numbers: Range<u64>) {
    numbers
        .try_for_each(|number| input.send(number))
        .expect("it takes items");
}

fn in_batches(input: &Input<u64>, mut numbers: Range<u64>) {
    let mut batch = Vec::with_capacity(BATCH);
    while !numbers.is_empty() {
        batch.extend(numbers.by_ref().take(BATCH));
        input.send_batch(&mut batch).expect("it takes items");
    }
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    vec![
        Contender::ours(
            "pipewright, send",
            size.work(|sides, items| run(sides, items, one_by_one)),
        ),
        Contender::ours(
            "pipewright, send_batch of 64",
            size.work(|sides, items| run(sides, items, in_batches)),
        ),
    ]
}
