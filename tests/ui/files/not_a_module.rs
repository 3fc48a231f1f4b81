//! `#[pipeline]` on something else.

use pipewright::pipeline;

#[pipeline]
struct Shop;

fn main() {}
