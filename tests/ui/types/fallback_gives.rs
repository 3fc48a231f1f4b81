//! The function that takes the place of a stage gives something else.

use pipewright::pipeline;

#[pipeline]
mod broken {
    #[source]
    fn numbers() -> impl Iterator<Item = u32> {
        0..3
    }

    #[stage(from = numbers, breaker(fallback = cached), on_error = drop)]
    fn ask(n: u32) -> Result<u32, String> {
        Err(n.to_string())
    }

    fn cached(n: u32) -> String {
        n.to_string()
    }

    #[sink(from = ask)]
    fn end(_: u32) {}
}

fn main() {}
