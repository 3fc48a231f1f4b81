//! A time without its unit.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, batch = 4, linger = 50)]
    pub fn print(batch: &mut [u8]) {
        println!("{batch:?}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
