//! A source that returns one value.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn number() -> u8 {
        1
    }

    #[sink(from = number)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
