//! A key function for another item.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    fn user(order: &String) -> usize {
        order.len()
    }

    #[sink(from = numbers, key = user)]
    pub fn count(_: u8, seen: &mut u64) {
        *seen += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
