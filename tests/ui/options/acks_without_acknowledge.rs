//! The state of a source with `acks` says where it is.

use pipewright::{Emit, Flow, pipeline};

#[derive(Default)]
pub struct Numbers(u8);

#[pipeline]
mod shop {
    use super::*;

    #[source(acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u8>) -> Flow {
        out.send(from.0);
        from.0 += 1;
        Flow::Done
    }

    #[sink(from = numbers)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
