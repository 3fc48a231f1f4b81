//! `state` names a function that makes something else.

use pipewright::pipeline;

pub struct Book(u64);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    fn load() -> u64 {
        1
    }

    #[sink(from = numbers, state = load)]
    pub fn count(_: u8, book: &mut Book) {
        book.0 += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
