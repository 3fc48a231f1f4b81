//! What a breaker diverts is what its stage takes, not what it sends.

use pipewright::pipeline;

#[pipeline]
mod broken {
    #[source]
    fn numbers() -> impl Iterator<Item = u32> {
        0..3
    }

    #[stage(from = numbers, breaker(on_open = divert), on_error = drop)]
    fn ask(n: u32) -> Result<String, String> {
        Err(n.to_string())
    }

    #[sink(from = [ask, ask::Diverted])]
    fn end(_: String) {}
}

fn main() {}
