//! `&mut S` with `key`: one state for each key.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, key = |n: &u64| n % 2)]
    pub fn stage(n: u64, sum: &mut u64) -> u64 {
        *sum += n;
        *sum
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
        all.sort_unstable();
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        [0, 1, 2, 4, 6, 9, 12, 16, 20, 25]
    );
}
