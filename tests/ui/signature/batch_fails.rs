//! A batch that fails as a whole.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn sort(batch: &[u8], out: &mut Emit<u8>) -> Result<(), String> {
        batch.iter().for_each(|n| out.send(*n));
        Ok(())
    }

    #[sink(from = sort)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
