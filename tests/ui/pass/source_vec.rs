//! A `Vec` is cut into pieces.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source(batch = 2)]
    pub fn stage() -> Vec<u64> {
        vec![3, 1, 2]
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [3, 1, 2]);
}
