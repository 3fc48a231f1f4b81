//! Anything that can be cut.

use pipewright::{Splittable, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn stage() -> impl Splittable<Item = u64> {
        0..9u64
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
        (0..9).collect::<Vec<_>>()
    );
}
