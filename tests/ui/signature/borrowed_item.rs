//! An item that borrows.

use std::borrow::Cow;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn length<'a>(n: Cow<'a, str>) -> u8 {
        n.len() as u8
    }

    #[sink(from = length)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
