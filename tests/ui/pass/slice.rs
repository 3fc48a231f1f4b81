//! `fn(&[T], &mut Emit<U>)`.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, batch = 5)]
    pub fn stage(batch: &[u64], out: &mut Emit<u64>) {
        for n in batch.iter().filter(|n| **n > 6) {
            out.send(*n);
        }
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
