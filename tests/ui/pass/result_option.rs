//! `fn(T) -> Result<Option<U>, E>`, and errors that are dropped.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers, on_error = drop)]
    pub fn stage(n: u64) -> Result<Option<u64>, ()> {
        if n > 6 {
            Ok((n > 7).then_some(n))
        } else {
            Err(())
        }
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [8, 9]);
}
