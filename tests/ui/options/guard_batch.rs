//! Tries again of a function that takes many items.

use pipewright::{Batch, pipeline};

#[pipeline]
mod shop {
    use super::Batch;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, on_error = drop, retry(max = 3))]
    pub fn print(batch: &mut Batch<u8>) -> Vec<Result<(), std::fmt::Error>> {
        batch.iter().map(|_| Ok(())).collect()
    }
}

fn main() {
    let _ = shop::pipeline();
}
