//! What answers calls is reached from the input.

use pipewright::pipeline;

#[pipeline(reply = price)]
mod shop {
    #[source]
    pub fn numbers() -> std::ops::Range<u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn price(n: u8) -> u8 {
        n * 2
    }

    #[sink(from = [price, input])]
    pub fn count(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
