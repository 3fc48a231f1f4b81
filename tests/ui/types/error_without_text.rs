//! An error that stops the run has to be shown.

use pipewright::pipeline;

pub struct Odd;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers, on_error = stop)]
    pub fn half(n: u8) -> Result<u8, Odd> {
        if n.is_multiple_of(2) {
            Ok(n / 2)
        } else {
            Err(Odd)
        }
    }

    #[sink(from = half)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
