//! Two readers in the file, and an item that cannot be copied.

use pipewright::pipeline;

pub struct Order(u8);

#[pipeline("not_clone.ron")]
mod shop {
    use super::*;

    #[source]
    pub fn orders() -> impl Iterator<Item = Order> {
        (0..9).map(Order)
    }

    #[sink]
    pub fn print(order: Order) {
        println!("{}", order.0);
    }

    #[sink]
    pub fn count(_: Order) {}
}

fn main() {
    let _ = shop::pipeline();
}
