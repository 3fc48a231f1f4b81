//! The reader of the errors takes another type.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn half(n: u8) -> Result<u8, String> {
        if n.is_multiple_of(2) {
            Ok(n / 2)
        } else {
            Err(format!("{n} is odd"))
        }
    }

    #[sink(from = half)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = half::Err)]
    pub fn complain(error: std::io::Error) {
        eprintln!("{error}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
