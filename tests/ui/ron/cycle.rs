//! The stages of the file feed each other.

use pipewright::pipeline;

#[pipeline("cycle.ron")]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage]
    pub fn double(n: u8) -> u8 {
        n * 2
    }

    #[stage]
    pub fn triple(n: u8) -> u8 {
        n * 3
    }

    #[sink]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
