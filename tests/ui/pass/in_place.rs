//! `fn(&mut T)`.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers)]
    pub fn stage(n: &mut u64) {
        *n += 1;
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
        (1..=10).collect::<Vec<_>>()
    );
}
