//! One state, and threads on several cores.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers, cores = "4-7")]
    pub fn add(n: u8, sum: &mut u64) {
        *sum += u64::from(n);
    }
}

fn main() {
    let _ = shop::pipeline();
}
