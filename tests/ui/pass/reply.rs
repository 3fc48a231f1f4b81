//! Requests are sent and answered.

use pipewright::pipeline;

#[pipeline(reply = double)]
mod shapes {
    #[stage(from = input, queue = 4)]
    pub fn even(n: u64) -> Option<u64> {
        (n % 2 == 0).then_some(n)
    }

    #[stage(from = even)]
    pub fn double(n: u64) -> u64 {
        n * 2
    }

    #[sink(from = double)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let run = shapes::pipeline().start(()).unwrap();
    assert_eq!(run.call(4), Ok(8));
    let filtered = run.call(5).unwrap_err();
    assert_eq!(filtered.stage(), Some("even"));
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [8]);
}
