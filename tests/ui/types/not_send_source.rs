//! The items of a source cannot go from thread to thread.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn names() -> impl Iterator<Item = Rc<str>> {
        ["a", "b"].into_iter().map(Rc::from)
    }

    #[sink(from = names)]
    pub fn print(name: Rc<str>) {
        println!("{name}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
