//! `prefetch` on one of two ways that meet again.

use pipewright::pipeline;

#[pipeline]
mod walk {
    #[source]
    pub fn numbers() -> impl Iterator<Item = Box<u64>> {
        (0..9).map(Box::new)
    }

    #[stage(from = numbers, prefetch = 16)]
    pub fn read(n: Box<u64>) -> u64 {
        *n
    }

    #[stage(from = numbers)]
    pub fn skip(_: Box<u64>) -> u64 {
        0
    }

    #[sink(from = [read, skip])]
    pub fn last(_: u64) {}
}

fn main() {
    let _ = walk::pipeline();
}
