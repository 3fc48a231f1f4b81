//! Items are pushed by threads of the user's.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[stage(from = input, queue = 4)]
    pub fn stage(n: u64) -> u64 {
        n * 2
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let run = shapes::pipeline().start(()).unwrap();
    run.send(1).unwrap();
    let input = run.input();
    std::thread::spawn(move || input.send_all([2, 3]).unwrap())
        .join()
        .unwrap();
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [2, 4, 6]);
}
