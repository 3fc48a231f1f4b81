//! A sink has nothing to answer with.

use pipewright::pipeline;

#[pipeline(reply = store)]
mod shop {
    #[sink(from = input)]
    pub fn store(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
