//! A batch on the way of calls keeps its items.

use pipewright::pipeline;

#[pipeline(reply = verify)]
mod shop {
    #[stage(from = input, batch = 64)]
    pub fn verify(all: &mut pipewright::Batch<u8>) {
        all.retain(|n| *n > 3);
    }
}

fn main() {
    let _ = shop::pipeline();
}
