//! `fn(T) -> Result<U, E>`, and a reader of the errors.

use pipewright::pipeline;

#[pipeline]
mod shapes {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers)]
    pub fn stage(n: u64) -> Result<u64, String> {
        if n > 6 { Ok(n) } else { Err(n.to_string()) }
    }

    #[sink(from = stage::Err)]
    pub fn complain(error: String) {
        assert!(error.len() == 1);
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<shapes::last>().unwrap(), [7, 8, 9]);
}
