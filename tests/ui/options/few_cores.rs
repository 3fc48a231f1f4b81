//! More workers than cores.

use pipewright::pipeline;

#[pipeline(pool(workers = 4, cores = "0-1"))]
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
