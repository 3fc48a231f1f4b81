//! `on_error`, and a reader of the errors.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers, on_error = drop)]
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
    pub fn complain(error: String) {
        eprintln!("{error}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
