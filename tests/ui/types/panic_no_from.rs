//! Items that panic leave by `::Err`, and the error cannot say so.

use pipewright::pipeline;

#[pipeline]
mod broken {
    #[source]
    fn numbers() -> impl Iterator<Item = u32> {
        0..3
    }

    #[sink(from = numbers, on_panic = dead_letter)]
    fn ask(n: u32) -> Result<(), String> {
        Err(n.to_string())
    }

    #[sink(from = ask::Err)]
    fn refuse(_: String) {}
}

fn main() {}
