//! A future cannot borrow the state, the batch, or where a stage sends.

use pipewright::{Batch, Emit, pipeline};

#[pipeline]
mod market {
    use super::{Batch, Emit};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    #[stage(from = numbers)]
    pub async fn add(n: u64, sum: &mut u64) -> u64 {
        *sum += n;
        *sum
    }

    #[stage(from = add, batch = 8)]
    pub async fn pack(all: &mut Batch<u64>) {}

    #[stage(from = pack)]
    pub async fn split(n: u64, out: &mut Emit<u64>) {
        out.send(n);
    }

    #[sink(from = split)]
    pub async fn see(n: &u64) {}
}

fn main() {
    let _ = market::pipeline();
}
