//! `&mut S`: one state, which a function makes.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    fn first() -> u64 {
        100
    }

    #[stage(from = numbers, state = first)]
    pub fn stage(n: u64, sum: &mut u64) -> u64 {
        *sum += n;
        *sum
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        [100, 101, 103, 106, 110, 115, 121, 128, 136, 145]
    );
}
