//! `fn(&mut Batch<T>)`.

use pipewright::{Batch, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, batch = 4)]
    pub fn stage(batch: &mut Batch<u64>) {
        batch.retain(|n| *n > 6);
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [7, 8, 9]);
}
