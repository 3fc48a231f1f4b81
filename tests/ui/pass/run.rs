//! One function is two stages of a topology: `run` names it.

use pipewright::pipeline;

#[pipeline("run.ron")]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..4
    }

    #[stage]
    pub fn double(n: u64) -> u64 {
        n * 2
    }

    #[sink]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    assert_eq!(shapes::double(4), 8, "a stage stays a function");
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [0, 4, 8, 12]);
}
