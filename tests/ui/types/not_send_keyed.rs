//! An item of a keyed stage cannot go from thread to thread.

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

    #[sink(from = share, key = |n: &Rc<u8>| **n)]
    pub fn count(_: Rc<u8>, seen: &mut u64) {
        *seen += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
