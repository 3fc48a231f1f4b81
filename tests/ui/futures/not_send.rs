//! A future that cannot go from one worker to another.

use std::rc::Rc;

use pipewright::pipeline;

#[pipeline]
mod market {
    use super::Rc;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    #[sink(from = numbers)]
    pub async fn see(n: u64) {
        let shared = Rc::new(n);
        std::future::ready(()).await;
        drop(shared);
    }
}

fn main() {
    let _ = market::pipeline();
}
