//! A source that is polled and cannot send.

use pipewright::{Flow, pipeline};

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> Flow {
        Flow::Done
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
