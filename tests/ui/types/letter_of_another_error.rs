//! A dead letter has the error of the stage.

use pipewright::{DeadLetter, pipeline};

#[derive(Clone)]
pub struct Line(String);

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn lines() -> impl Iterator<Item = Line> {
        [Line("1".to_owned())].into_iter()
    }

    #[stage(from = lines)]
    pub fn parse(line: Line) -> Result<u8, String> {
        line.0.parse().map_err(|_| line.0)
    }

    #[sink(from = parse)]
    pub fn print(n: u8) {
        println!("{n}");
    }

    #[sink(from = parse::Err)]
    pub fn complain(letter: DeadLetter<u8>) {
        println!("{letter:?}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
