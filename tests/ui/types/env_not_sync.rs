//! The environment cannot be shared.

use std::cell::Cell;

use pipewright::pipeline;

#[pipeline(env = Cell<u8>)]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8, last: &Cell<u8>) {
        last.set(n);
    }
}

fn main() {
    let _ = shop::pipeline();
}
