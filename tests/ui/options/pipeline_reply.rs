//! Calls with a reply are not in this version.

use pipewright::pipeline;

#[pipeline(reply = double)]
mod shop {
    #[sink(from = input)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[stage(from = input)]
    pub fn double(n: u8) -> u8 {
        n * 2
    }

    #[sink(from = double)]
    pub fn count(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
