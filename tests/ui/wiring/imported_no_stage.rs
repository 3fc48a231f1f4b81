//! `from` names an imported function that is no stage.

use pipewright::pipeline;

mod helpers {
    pub fn double(n: u8) -> u8 {
        n * 2
    }
}

#[pipeline]
mod shop {
    use super::helpers::double;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[sink(from = [numbers, double])]
    pub fn print(n: u8) {
        println!("{}", double(n));
    }
}

fn main() {}
