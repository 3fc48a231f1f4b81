//! A source with a state and an iterator.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers(last: &mut u8) -> impl Iterator<Item = u8> {
        0..*last
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
