//! A pipeline without `reply` answers no calls.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[sink(from = input)]
    pub fn store(_: u8) {}
}

fn main() {
    let run = shop::pipeline().start(()).unwrap();
    let _ = run.call(7);
    let _ = run.caller();
}
