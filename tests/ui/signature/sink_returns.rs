//! A sink that returns something.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn double(n: u8) -> u8 {
        n * 2
    }
}

fn main() {
    let _ = shop::pipeline();
}
