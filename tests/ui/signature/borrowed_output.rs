//! An output that borrows.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn name(n: u8) -> &'static str {
        if n == 0 { "none" } else { "some" }
    }

    #[sink(from = name)]
    pub fn print(name: String) {
        println!("{name}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
