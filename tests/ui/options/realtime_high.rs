//! A real-time priority that is the kernel's.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, cores = "0", realtime = 99)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
