//! `trial list` and `trial run REQUEST`: see `pipewright_bench::protocol`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pipewright_trials::trials(None).main()
}
