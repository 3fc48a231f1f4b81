//! Three stages feed each other.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = [numbers, third])]
    pub fn first(n: u8) -> u8 {
        n
    }

    #[stage(from = first)]
    pub fn second(n: u8) -> u8 {
        n
    }

    #[stage(from = second)]
    pub fn third(n: u8) -> u8 {
        n
    }

    #[sink(from = third)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
