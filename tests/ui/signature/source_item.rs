//! A source with an item.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers(n: u8) -> impl Iterator<Item = u8> {
        0..n
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
