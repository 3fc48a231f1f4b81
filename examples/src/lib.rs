//! Examples of pipewright, one idea each. They are the binaries of this package:
//!
//! ```text
//! cargo run -p pipewright-examples --bin linear
//! ```
//!
//! | example | its idea |
//! |---|---|
//! | `linear` | source, stages and sink in a line: one loop |
//! | `route` | the variants of an enum are doors |
//! | `batch` | stages that take many items at a time |
//! | `keyed` | one state for each key |
//! | `ron_topology` | the shape in a file, the stages in a module |
//! | `tuning` | numbers that change without compiling, and what a wrong file says |
//! | `push` | threads send items in, and wait while the input is full |
//! | `dry_run` | a test without threads, with a clock of its own |
//! | `async_stage` | functions that wait for others without holding a worker |
//! | `trial` | a pipeline of one's own that `cargo xtask bench` measures |
//! | `errors` | errors, panics, and a run that fails |

#![forbid(unsafe_code)]
