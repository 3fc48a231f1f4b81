//! `Emit` and a return value.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn double(n: u8, out: &mut Emit<u8>) -> u8 {
        out.send(n);
        n
    }

    #[sink(from = double)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
