//! A topology in RON, with stages of other modules, some of them renamed.

use pipewright::pipeline;

pub mod stages {
    use pipewright::{sink, source, stage};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    pub mod more {
        use super::stage;

        #[stage]
        pub fn twice(n: u64) -> u64 {
            n * 2
        }
    }

    #[sink]
    pub fn keep(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

#[pipeline("ron.ron")]
mod shapes {
    use super::stages::{
        keep as last,
        more::{self, twice as double},
        numbers,
    };

    #[stage]
    pub fn large(n: &u64) -> bool {
        *n > 10 && more::twice(*n) > 20
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<stages::keep>().unwrap(),
        [12, 14, 16, 18]
    );
}
