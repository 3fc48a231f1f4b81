//! What answers and is read by a stage is copied.

use pipewright::pipeline;

pub struct Price(u8);

#[pipeline(reply = price)]
mod shop {
    use super::Price;

    #[stage(from = input)]
    pub fn price(n: u8) -> Price {
        Price(n * 2)
    }

    #[sink(from = price)]
    pub fn publish(_: Price) {}
}

fn main() {
    let _ = shop::pipeline();
}
