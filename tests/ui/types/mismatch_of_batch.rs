//! A batch is of another type.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers, batch = 4)]
    pub fn sort(batch: &mut [u16]) {
        batch.sort_unstable();
    }

    #[sink(from = sort)]
    pub fn print(n: u16) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
