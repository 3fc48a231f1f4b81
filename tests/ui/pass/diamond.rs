//! Two readers of one output, and one reader of both.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers)]
    pub fn double(n: u64) -> u64 {
        n * 2
    }

    #[stage(from = numbers)]
    pub fn triple(n: &u64) -> bool {
        n.is_multiple_of(3)
    }

    #[sink(from = [double, triple])]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        (0..10)
            .flat_map(|n| [Some(n * 2), (n % 3 == 0).then_some(n)])
            .flatten()
            .collect::<Vec<_>>()
    );
}
