//! Readers of one input that say two things of it, and what is shed without an input.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[stage(from = input, overflow = reject)]
    pub fn double(n: u8) -> u8 {
        2 * n
    }

    #[sink(from = input, overflow = drop_newest)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = double, shed(target = "1ms"))]
    pub fn sum(n: u8, sum: &mut u8) {
        *sum += n;
    }
}

fn main() {
    let _ = shop::pipeline();
}
