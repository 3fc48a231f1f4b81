//! The shape in a file: `orders.ron` says how stages are connected and how they run, `stages.rs` says what they do.
//!
//! The file is read when this is compiled: a stage that it does not find, an output that nobody reads, a type that does
//! not fit its neighbour is a compile error at its line, and a change to the file compiles the pipeline again.
//! `cargo xtask check` and `cargo xtask graph` read the same file without compiling.

#![forbid(unsafe_code)]

/// What the stages do.
pub mod stages;

use std::{error::Error, sync::Arc};

use pipewright::pipeline;

use stages::Shop;

/// The stages of the file, brought in by name.
#[pipeline("orders.ron", env = Arc<Shop>)]
pub mod orders {
    use super::*;
    use crate::stages::{check, file, invoice, read, refuse, reserve};
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = orders::pipeline().start(Arc::new(Shop::open()))?.wait()?;
    println!("\n{report}");
    Ok(())
}
