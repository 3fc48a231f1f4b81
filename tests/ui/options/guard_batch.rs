//! A rate on a function that takes many items.

use pipewright::{Batch, pipeline};

#[pipeline]
mod shop {
    use super::Batch;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, rate = "10k/s")]
    pub fn print(batch: &mut Batch<u8>) {
        batch.retain(|n| *n > 0);
    }
}

fn main() {
    let _ = shop::pipeline();
}
