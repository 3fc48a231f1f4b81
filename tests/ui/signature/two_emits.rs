//! Two `Emit`.

use pipewright::{Emit, pipeline};

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn sort(n: u8, even: &mut Emit<u8>, odd: &mut Emit<u8>) {
        if n.is_multiple_of(2) {
            even.send(n)
        } else {
            odd.send(n)
        }
    }

    #[sink(from = sort)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
