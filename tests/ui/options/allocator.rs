//! An option of the allocator, which is not the pipeline's.

use pipewright::pipeline;

#[pipeline(jemalloc(arenas = 4))]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
