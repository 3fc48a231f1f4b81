//! Two stages read the input, and say different things about what happens when it is full.

use pipewright::pipeline;

#[pipeline]
mod orders {
    #[sink(from = input, overflow = drop_newest, order = any)]
    pub fn store(n: u64) {
        let _ = n;
    }

    #[sink(from = input, overflow = reject, order = any)]
    pub fn count(n: u64) {
        let _ = n;
    }
}

fn main() {}
