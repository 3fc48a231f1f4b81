//! A range is cut into pieces.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn stage() -> std::ops::Range<u64> {
        0..1000
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
        (0..1000).collect::<Vec<_>>()
    );
}
