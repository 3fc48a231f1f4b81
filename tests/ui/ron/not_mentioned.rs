//! A stage is not in the file.

use pipewright::pipeline;

#[pipeline("not_mentioned.ron")]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage]
    pub fn double(n: u8) -> u8 {
        n * 2
    }

    #[sink]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
