//! Many or an error.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn split(n: u8) -> Result<impl Iterator<Item = u8>, String> {
        Ok(0..n)
    }

    #[sink(from = split)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
