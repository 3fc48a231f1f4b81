//! `&mut S` with `per_worker`.

use pipewright::{Merge, pipeline};

#[derive(Default)]
pub struct Seen(u64);

impl Merge for Seen {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, per_worker, on_panic = keep)]
    pub fn stage(n: u64, seen: &mut Seen) -> u64 {
        seen.0 += 1;
        n
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
        (0..10).collect::<Vec<_>>()
    );
}
