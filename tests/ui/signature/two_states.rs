//! Two states.

use pipewright::pipeline;

#[pipeline]
mod shop {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u8> {
        0..9
    }

    #[stage(from = numbers)]
    pub fn count(n: u8, even: &mut u64, odd: &mut u64) -> u8 {
        *(if n.is_multiple_of(2) { even } else { odd }) += 1;
        n
    }

    #[sink(from = count)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
