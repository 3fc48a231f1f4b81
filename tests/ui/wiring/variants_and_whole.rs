//! An output is read whole and by its variants.

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

    #[sink(from = [sort::Even, sort::Odd])]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = sort)]
    pub fn all(_: Parity) {}
}

fn main() {
    let _ = shop::pipeline();
}
