//! What a task costs at the least, on one thread.

use crossbeam_deque::Worker;

use super::{Tasks, numbers, task};
use crate::harness::Contender;

/// A task without a box: a function and its argument.
type Plain = (fn(u64), u64);

fn plain(number: u64) -> Plain {
    (task, number)
}

fn in_a_vec(count: u64) {
    let mut tasks: Vec<Plain> = Vec::with_capacity(count as usize);
    tasks.extend(numbers(count).map(plain));
    tasks.into_iter().for_each(|(run, number)| run(number));
}

fn through_a_worker(count: u64) {
    const BURST: usize = 256;
    let queue = Worker::new_fifo();
    let mut left = numbers(count);
    while !left.is_empty() {
        left.by_ref()
            .take(BURST)
            .map(plain)
            .for_each(|task| queue.push(task));
        while let Some((run, number)) = queue.pop() {
            run(number);
        }
    }
}

fn boxed(count: u64) {
    let tasks =
        numbers(count).map(|number| -> Box<dyn FnOnce()> { Box::new(move || task(number)) });
    let tasks: Vec<_> = tasks.collect();
    tasks.into_iter().for_each(|task| task());
}

pub(super) fn contenders(tasks: Tasks) -> Vec<Contender> {
    vec![
        Contender::limit("(fn, argument) in a Vec, 1 thread", tasks.work(in_a_vec)),
        Contender::limit(
            "(fn, argument) through a crossbeam Worker, 1 thread",
            tasks.work(through_a_worker),
        ),
        Contender::limit("boxed closures, 1 thread, no queue", tasks.work(boxed)),
    ]
}
