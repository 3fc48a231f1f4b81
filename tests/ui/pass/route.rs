//! An enum whose variants go different ways, and meet again.

use pipewright::pipeline;

pub enum Size {
    Small(u64),
    Large(u64),
}

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers)]
    pub fn sort(n: u64) -> Size {
        if n > 6 {
            Size::Large(n)
        } else {
            Size::Small(n)
        }
    }

    #[stage(from = sort::Small)]
    pub fn stage(n: u64) -> Option<u64> {
        (n < 2).then_some(n)
    }

    #[sink(from = [stage, sort::Large])]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        [0, 1, 7, 8, 9]
    );
}
