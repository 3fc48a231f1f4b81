//! A key that cannot be hashed.

use pipewright::pipeline;

#[derive(Clone, PartialEq, Eq)]
pub struct User(u8);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, key = |n: &u8| User(*n))]
    pub fn count(_: u8, seen: &mut u64) {
        *seen += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
