//! A mistake in the body of a stage is rustc's to tell.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{m}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
