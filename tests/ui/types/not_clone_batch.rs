//! Two readers of a batch stage, and an item that cannot be copied.

use pipewright::pipeline;

pub struct Order(u8);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn orders() -> impl Iterator<Item = Order> {
        (0..9).map(Order)
    }

    #[stage(from = orders, batch = 4)]
    pub fn double(batch: &mut [Order]) {
        for order in batch {
            order.0 *= 2;
        }
    }

    #[sink(from = double)]
    pub fn print(order: Order) {
        println!("{}", order.0);
    }

    #[sink(from = double)]
    pub fn count(_: Order) {}
}

fn main() {
    let _ = shop::pipeline();
}
