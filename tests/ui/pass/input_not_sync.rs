//! What moves from thread to thread need not be shared by them: items, inputs and states that are `Send` and not `Sync`.

use std::cell::Cell;

use pipewright::{Emit, Flow, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn polled(left: &mut Cell<u64>, out: &mut Emit<Cell<u64>>) -> Flow {
        out.send(Cell::new(1));
        left.set(left.get() + 1);
        if left.get() == 3 {
            Flow::Done
        } else {
            Flow::More
        }
    }

    #[stage(from = [polled, input])]
    pub fn stage(n: Cell<u64>) -> Cell<u64> {
        n.set(n.get() * 2);
        n
    }

    #[sink(from = stage)]
    pub fn last(n: Cell<u64>, sum: &mut Cell<u64>) {
        sum.set(sum.get() + n.get());
    }
}

fn main() {
    let run = shapes::pipeline().workers(2).start(()).unwrap();
    run.send(Cell::new(10)).unwrap();
    let mut report = run.drain().unwrap();
    // `drain` ends the source as well, perhaps before it has sent all three.
    let sum = report.take_state::<shapes::last>().unwrap().get();
    assert!((20..=26).contains(&sum), "{sum}");
}
