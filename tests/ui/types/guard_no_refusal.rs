//! Items leave by `::Err` while the breaker is open, and the error cannot say so.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, breaker(on_open = dead_letter))]
    pub fn ask(n: u8) -> Result<(), String> {
        Err(n.to_string())
    }

    #[sink(from = ask::Err)]
    pub fn reject(error: String) {
        drop(error);
    }
}

fn main() {
    let _ = shop::pipeline();
}
