//! An alias of `Option` is not unwrapped.

use pipewright::pipeline;

pub type Perhaps = Option<u8>;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn even(n: u8) -> Perhaps {
        n.is_multiple_of(2).then_some(n)
    }

    #[sink(from = even)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
