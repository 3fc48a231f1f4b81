//! The pipeline is started with another environment.

use pipewright::pipeline;

#[pipeline(env = String)]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = numbers)]
    pub fn print(n: u8, prefix: &String) {
        println!("{prefix}{n}");
    }
}

fn main() {
    let _ = shop::pipeline().start(());
}
