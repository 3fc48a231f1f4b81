//! An error cannot go from thread to thread.

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
    pub fn half(n: u8) -> Result<u8, Rc<str>> {
        if n.is_multiple_of(2) {
            Ok(n / 2)
        } else {
            Err(Rc::from("odd"))
        }
    }

    #[sink(from = half)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = half::Err)]
    pub fn complain(error: Rc<str>) {
        eprintln!("{error}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
