//! A stage is imported from nowhere.

use pipewright::pipeline;

#[pipeline]
mod shop {
    use double;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = [numbers, double])]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
