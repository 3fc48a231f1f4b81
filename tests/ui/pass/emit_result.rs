//! `fn(T, &mut Emit<U>) -> Result<(), E>`.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, on_error = drop)]
    pub fn stage(n: u64, out: &mut Emit<u64>) -> Result<(), ()> {
        out.send(n);
        if n > 1 { Err(()) } else { Ok(()) }
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [0, 1]);
}
