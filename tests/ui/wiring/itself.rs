//! A stage reads itself.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = [numbers, double])]
    pub fn double(n: u8) -> u8 {
        n * 2
    }

    #[sink(from = double)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
