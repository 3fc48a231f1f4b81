//! A stage is called like the push input.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn input(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
