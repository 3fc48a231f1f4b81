//! A sink with an `Emit`.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn double(n: u8, out: &mut Emit<u8>) {
        out.send(n);
    }
}

fn main() {
    let _ = shop::pipeline();
}
