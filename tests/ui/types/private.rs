//! A stage that is more public than what it takes.

use pipewright::pipeline;

#[pipeline]
mod shop {
    struct Order(u8);

    #[source]
    fn orders() -> impl Iterator<Item = Order> {
        (0..9).map(Order)
    }

    #[sink(from = orders)]
    pub fn print(order: Order) {
        println!("{}", order.0);
    }
}

fn main() {
    let _ = shop::pipeline();
}
