//! The file misspells a variant.

use pipewright::pipeline;

pub enum Parity {
    Even(u8),
    Odd(u8),
}

#[pipeline("variant_misspelt.ron")]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage]
    pub fn sort(n: u8) -> Parity {
        if n.is_multiple_of(2) {
            Parity::Even(n)
        } else {
            Parity::Odd(n)
        }
    }

    #[sink]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
