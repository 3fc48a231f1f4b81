//! Calls fail with one type of error.

use pipewright::pipeline;

pub struct Unknown;

pub struct Dear;

#[pipeline(reply = price)]
mod shop {
    use super::{Dear, Unknown};

    #[stage(from = input, on_error = drop)]
    pub fn find(n: u8) -> Result<u8, Unknown> {
        if n < 9 { Ok(n) } else { Err(Unknown) }
    }

    #[stage(from = find, on_error = drop)]
    pub fn price(n: u8) -> Result<u8, Dear> {
        if n < 5 { Ok(n) } else { Err(Dear) }
    }
}

fn main() {
    let _ = shop::pipeline();
}
