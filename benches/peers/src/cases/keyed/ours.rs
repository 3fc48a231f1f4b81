//! pipewright: a stage with a key and a state for each.

use pipewright::{Merge, pipeline};

use super::{Items, Task, stepped};
use crate::harness::Contender;

/// An item: its key and its number.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    key: u32,
    number: u64,
}

/// What a worker's sink has seen.
#[derive(Debug, Default)]
pub struct Sum(u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

#[pipeline(env = Items)]
pub mod keyed {
    use super::*;

    #[source]
    pub fn items(env: &Items) -> impl Iterator<Item = Item> {
        env.iter()
            .zip(0..)
            .map(|(key, number)| Item { key: *key, number })
    }

    #[stage(from = items, key = |item| item.key)]
    pub fn step(item: Item, state: &mut u64) -> u64 {
        *state = stepped(*state, item.number);
        *state
    }

    #[sink(from = step, per_worker)]
    pub fn add(state: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(state);
    }
}

fn run(items: Items) -> u64 {
    let report = keyed::pipeline().workers(2).run(items);
    let sum = report.expect("nothing fails").take_state::<keyed::add>();
    sum.expect("the sink has a state").0
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    vec![Contender::ours(
        "pipewright, 2 workers",
        task.work(|items, _| run(items)),
    )]
}
