//! Nobody reads one of the variants.

use pipewright::pipeline;

pub enum Parity {
    Even(u8),
    Odd(u8),
}

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn sort(n: u8) -> Parity {
        if n.is_multiple_of(2) {
            Parity::Even(n)
        } else {
            Parity::Odd(n)
        }
    }

    #[sink(from = sort::Even)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
