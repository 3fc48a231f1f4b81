//! `retry` on a stage whose item cannot be kept.

use pipewright::pipeline;

#[derive(Debug)]
pub struct Order(u8);

#[pipeline]
mod shop {
    use super::Order;

    #[source]
    pub fn orders() -> impl Iterator<Item = Order> {
        (0..9).map(Order)
    }

    #[sink(from = orders, retry(max = 3), on_error = drop)]
    pub fn ask(order: Order) -> Result<(), String> {
        Err(format!("{order:?}"))
    }
}

fn main() {
    let _ = shop::pipeline();
}
