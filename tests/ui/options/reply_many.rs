//! A call has one answer.

use pipewright::pipeline;

#[pipeline(reply = price)]
mod shop {
    #[stage(from = input)]
    pub fn split(n: u8) -> impl Iterator<Item = u8> {
        0..n
    }

    #[stage(from = split)]
    pub fn price(n: u8) -> u8 {
        n * 2
    }
}

fn main() {
    let _ = shop::pipeline();
}
