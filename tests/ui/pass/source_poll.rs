//! `fn(&mut S, &mut Emit<T>) -> Flow`.

use pipewright::{Emit, Flow, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source(idle = "10us")]
    pub fn stage(next: &mut u64, out: &mut Emit<u64>) -> Flow {
        if *next == 3 {
            return Flow::Done;
        }
        out.send(*next);
        *next += 1;
        Flow::More
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [0, 1, 2]);
}
