//! Notes the compiler's version, which belongs to every measurement.

#![forbid(unsafe_code)]

use std::{env, process::Command};

fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output();
    let version = said.map_or_else(
        |error| format!("unknown: {error}"),
        |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
    );
    println!("cargo:rustc-env=PEERS_RUSTC={version}");
    println!("cargo:rerun-if-changed=build.rs");
}
