//! A stage reads a sink.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = print)]
    pub fn count(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
