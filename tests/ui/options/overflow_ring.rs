//! A ring between two pinned threads cannot drop its oldest item.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source(cores = "0")]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, cores = "1", overflow = drop_oldest)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
