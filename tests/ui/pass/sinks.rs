//! Sinks with and without a state, one that can fail, and one that takes a batch.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[sink(from = numbers)]
    pub fn plain(_: u64) {}

    #[sink(from = numbers, on_error = drop)]
    pub fn fails(n: u64) -> Result<(), String> {
        if n > 6 { Err(n.to_string()) } else { Ok(()) }
    }

    #[sink(from = numbers, on_error = stop)]
    pub fn strict(n: u64, count: &mut u64) -> Result<(), String> {
        *count += 1;
        if n > 100 { Err(n.to_string()) } else { Ok(()) }
    }

    #[sink(from = numbers, batch = 3)]
    pub fn many(batch: &[u64]) {
        assert!(batch.len() <= 3);
    }

    #[sink(from = numbers)]
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
