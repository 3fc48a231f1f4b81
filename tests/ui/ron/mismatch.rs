//! The file connects stages whose types do not meet.

use pipewright::pipeline;

#[pipeline("mismatch.ron")]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage]
    pub fn widen(n: u8) -> u16 {
        n.into()
    }

    #[sink]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
