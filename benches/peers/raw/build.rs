//! Builds the oneTBB case where a C++ compiler and the library are installed, and leaves it out where they are not.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo:rustc-check-cfg=cfg(peers_tbb)");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cpp/tbb.cpp");
    println!("cargo:rerun-if-env-changed=CXX");
    // It changes when the library is installed.
    println!("cargo:rerun-if-changed=/usr/include");
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    if built(&out) {
        println!("cargo:rustc-cfg=peers_tbb");
        println!("cargo:rustc-link-search=native={}", out.display());
        println!("cargo:rustc-link-lib=static=peers_tbb");
        println!("cargo:rustc-link-lib=dylib=tbb");
        println!("cargo:rustc-link-lib=dylib=stdc++");
    }
}

/// Is there an archive now? A library is linked first, to see that all of oneTBB is there.
fn built(out: &Path) -> bool {
    let compiler = env::var_os("CXX").unwrap_or_else(|| OsString::from("g++"));
    let compile = |kind: &str, name: &str| {
        let mut command = Command::new(&compiler);
        command.args(["-O3", "-std=c++17", "-fPIC", kind, "cpp/tbb.cpp", "-o"]);
        command.arg(out.join(name)).arg("-ltbb");
        succeeds(&mut command)
    };
    let mut archive = Command::new("ar");
    archive
        .arg("crs")
        .arg(out.join("libpeers_tbb.a"))
        .arg(out.join("tbb.o"));
    compile("-shared", "probe.so") && compile("-c", "tbb.o") && succeeds(&mut archive)
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
