//! Two readers of the push input take different types.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[sink(from = input)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = input)]
    pub fn count(_: u16) {}
}

fn main() {
    let _ = shop::pipeline();
}
