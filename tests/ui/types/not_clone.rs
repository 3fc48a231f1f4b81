//! Two readers, and an item that cannot be copied.

use pipewright::pipeline;

pub struct Order(u8);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn orders() -> impl Iterator<Item = Order> {
        (0..9).map(Order)
    }

    #[sink(from = orders)]
    pub fn print(order: Order) {
        println!("{}", order.0);
    }

    #[sink(from = orders)]
    pub fn count(_: Order) {}
}

fn main() {
    let _ = shop::pipeline();
}
