//! Writes the random pipelines of the property tests. `PIPEWRIGHT_SEED` gives others, `PIPEWRIGHT_SHAPES` their number.

#![forbid(unsafe_code)]

use std::{env, error::Error, fs, path::PathBuf};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a part of the library, which the tests use too"
)]
#[path = "src/shapes/mod.rs"]
mod shapes;

/// The pipelines that everybody tests.
const SEED: u64 = 1;
/// How many they are: a compromise with the time that they take to compile.
const SHAPES: usize = 24;

fn main() -> Result<(), Box<dyn Error>> {
    let seed = number("PIPEWRIGHT_SEED", SEED)?;
    let count = number("PIPEWRIGHT_SHAPES", SHAPES as u64)? as usize;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/shapes");
    let path = PathBuf::from(env::var("OUT_DIR")?).join("random_pipelines.rs");
    fs::write(
        path,
        shapes::write::file(seed, &shapes::generate::shapes(seed, count)),
    )?;
    Ok(())
}

fn number(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={name}");
    match env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|why| format!("{name}={text}: {why}").into()),
        Err(_) => Ok(default),
    }
}
