//! A source cannot go from thread to thread.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        let all = Rc::new([1, 2, 3]);
        (0..3).map(move |n| all[n])
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
