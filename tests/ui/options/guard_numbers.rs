//! Numbers of a breaker that do not fit each other.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, breaker(open = "1s", slow = "800ms"), on_error = drop)]
    pub fn ask(n: u8) -> Result<(), String> {
        Err(n.to_string())
    }
}

fn main() {
    let _ = shop::pipeline();
}
