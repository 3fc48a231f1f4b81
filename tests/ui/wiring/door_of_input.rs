//! The push input has no doors.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[sink(from = input::Even)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
