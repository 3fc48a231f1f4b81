//! A stage gives items back to a source that forgets them, and to the input.

use pipewright::pipeline;

#[pipeline]
mod broken {
    use std::fmt;

    #[derive(Debug)]
    pub struct Failure;

    impl pipewright::Classify for Failure {}

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed")
        }
    }

    #[source]
    fn numbers() -> impl Iterator<Item = u32> {
        0..3
    }

    #[stage(from = numbers)]
    fn twice(n: u32) -> u32 {
        2 * n
    }

    #[sink(from = twice, on_error = drop, breaker(on_open = nack))]
    fn ask(_: u32) -> Result<(), Failure> {
        Ok(())
    }

    #[sink(from = input, on_error = drop, breaker(on_open = nack))]
    fn tell(_: u32) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
