//! A module without stages.

use pipewright::pipeline;

#[pipeline]
mod shop {
    pub fn double(n: u8) -> u8 {
        n * 2
    }
}

fn main() {
    let _ = shop::pipeline();
}
