//! Tries again of a function that takes many items, and judges none.

use pipewright::{Batch, pipeline};

#[pipeline]
mod shop {
    use super::Batch;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, retry(max = 3))]
    pub fn print(_: &mut Batch<u8>) {}
}

fn main() {
    let _ = shop::pipeline();
}
