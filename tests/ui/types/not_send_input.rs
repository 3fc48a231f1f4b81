//! What is pushed cannot go from thread to thread.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[sink(from = input)]
    pub fn print(n: Rc<u8>) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
