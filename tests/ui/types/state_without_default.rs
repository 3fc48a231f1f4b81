//! A state whose first value is unknown.

use pipewright::pipeline;

pub struct Book(u64);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn count(_: u8, book: &mut Book) {
        book.0 += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
