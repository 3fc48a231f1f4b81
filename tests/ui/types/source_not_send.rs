//! A source cannot go from thread to thread.

use std::rc::Rc;

use pipewright::pipeline;

struct Countdown(Rc<u8>);

impl Iterator for Countdown {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let next = self.0.checked_sub(1)?;
        self.0 = Rc::new(next);
        Some(next)
    }
}

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        Countdown(Rc::new(9))
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
