//! Stages of other modules, without RON: their attributes say what they read.

use pipewright::pipeline;

pub mod stages {
    use pipewright::{source, stage};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..4
    }

    #[stage(from = numbers)]
    pub fn double(n: u64) -> u64 {
        n * 2
    }
}

#[pipeline]
mod shapes {
    use super::stages::{double, numbers};

    #[sink(from = [double, numbers])]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline()
        .workers(1)
        .start(())
        .unwrap()
        .wait()
        .unwrap();
    let mut all = report.take_state::<shapes::last>().unwrap();
    all.sort_unstable();
    assert_eq!(all, [0, 0, 1, 2, 2, 3, 4, 6]);
}
