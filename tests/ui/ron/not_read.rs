//! Nothing in the file reads a stage.

use pipewright::pipeline;

#[pipeline("not_read.ron")]
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
