//! Notes how trials are built, which belongs to every measurement.

#![forbid(unsafe_code)]

use std::{env, process::Command};

fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output();
    let version = said.map_or_else(
        |error| format!("unknown: {error}"),
        |said| {
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            said.trim().trim_start_matches("rustc ").to_owned()
        },
    );
    let of = |name: &str| env::var(name).unwrap_or_default();
    let flags = of("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ");
    for (name, value) in [
        ("RUSTC", version),
        ("TARGET", of("TARGET")),
        ("OPT_LEVEL", of("OPT_LEVEL")),
        ("RUSTFLAGS", flags),
    ] {
        println!("cargo:rustc-env=PIPEWRIGHT_BENCH_{name}={value}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
