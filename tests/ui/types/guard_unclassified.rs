//! A breaker on a stage whose error does not say what it means.

use pipewright::pipeline;

#[derive(Debug)]
pub struct NoAnswer;

#[pipeline]
mod shop {
    use super::NoAnswer;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, breaker(failure_pct = 50), on_error = drop)]
    pub fn ask(n: u8) -> Result<(), NoAnswer> {
        let _ = n;
        Err(NoAnswer)
    }
}

fn main() {
    let _ = shop::pipeline();
}
