//! A state that borrows.

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
    pub fn last(n: u8, text: &mut Cow<'_, str>) -> u8 {
        *text = n.to_string().into();
        n
    }

    #[sink(from = last)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
