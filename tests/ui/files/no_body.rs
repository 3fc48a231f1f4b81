//! The module stands in another file.

use pipewright::pipeline;

#[pipeline]
mod shop;

fn main() {}
