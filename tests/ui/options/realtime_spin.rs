//! A thread that goes before the kernel's own and never sleeps.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, cores = "0", wait = spin, realtime = 20)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
