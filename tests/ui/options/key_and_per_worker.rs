//! A state for each key and for each worker.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, key = |n: &u8| *n, per_worker)]
    pub fn count(_: u8, seen: &mut u64) {
        *seen += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
