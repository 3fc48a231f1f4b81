//! `Emit` without its type.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn double(n: u8, out: &mut pipewright::Emit) {
        out.send(n);
    }

    #[sink(from = double)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
