//! A future is cancelled, and the error cannot say so.

use pipewright::pipeline;

#[pipeline]
mod market {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    #[sink(from = numbers, timeout = "1s", on_error = drop)]
    pub async fn ask(n: u64) -> Result<(), String> {
        std::future::ready(()).await;
        Err(n.to_string())
    }
}

fn main() {
    let _ = market::pipeline();
}
