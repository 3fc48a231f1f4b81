//! The reader of a variant takes another type.

use pipewright::pipeline;

pub enum Parity {
    Even(u8),
    Odd(String),
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
            Parity::Odd(n.to_string())
        }
    }

    #[sink(from = [sort::Even, sort::Odd])]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
