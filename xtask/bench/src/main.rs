//! `cargo xtask bench`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pipewright_bench::main()
}
