//! An item cannot go from thread to thread, though its reader runs on the same one.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn share(n: u8) -> Rc<u8> {
        Rc::new(n)
    }

    #[stage(from = share)]
    pub fn double(n: Rc<u8>) -> u8 {
        *n * 2
    }

    #[sink(from = double)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
