//! `&[u8]` is a batch of `u8`, not a buffer.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn packets() -> impl Iterator<Item = Vec<u8>> {
        [vec![1, 2], vec![3]].into_iter()
    }

    #[sink(from = packets)]
    pub fn print(packet: &[u8]) {
        println!("{packet:?}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
