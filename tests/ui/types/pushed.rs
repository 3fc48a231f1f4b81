//! Something else is pushed than the pipeline takes.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[sink(from = input)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let run = shop::pipeline().start(()).unwrap();
    run.input().send("one").unwrap();
}
