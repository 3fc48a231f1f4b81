//! Futures have no threads of their own, and see no order.

use pipewright::pipeline;

#[pipeline]
mod market {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    #[stage(from = numbers, cores = "1", in_flight = 8)]
    pub async fn ask(n: u64) -> u64 {
        n
    }

    #[sink(from = ask, order = keep, in_flight = 4)]
    pub async fn see(n: u64) {
        drop(n);
    }
}

fn main() {
    let _ = market::pipeline();
}
