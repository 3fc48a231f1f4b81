//! Of the readers of an output, one leads to the answer.

use pipewright::pipeline;

#[pipeline(reply = price)]
mod shop {
    #[stage(from = input)]
    pub fn cheap(n: u8) -> u8 {
        n
    }

    #[stage(from = input)]
    pub fn dear(n: u8) -> u8 {
        n
    }

    #[stage(from = [cheap, dear])]
    pub fn price(n: u8) -> u8 {
        n * 2
    }
}

fn main() {
    let _ = shop::pipeline();
}
