//! A shared state cannot go from thread to thread.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8, last: &mut Rc<u8>) {
        *last = Rc::new(n);
    }
}

fn main() {
    let _ = shop::pipeline();
}
