//! `prefetch` on a function that takes many items.

use pipewright::{Batch, pipeline};

#[pipeline]
mod walk {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    #[stage(from = numbers, prefetch = 16)]
    pub fn all(batch: &mut Batch<u64>) {
        batch.retain(|n| n % 2 == 0);
    }

    #[sink(from = all)]
    pub fn last(_: u64) {}
}

fn main() {
    let _ = walk::pipeline();
}
