//! What follows when the system refuses threads or memory: an error that says so, or a run that does with less; nothing stays
//! behind. The limits are those of a process, so each test has one of its own.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Command;

/// Runs it in a process of its own, and returns the numbers that it says, by name.
fn child(mode: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limited_child"));
    command.arg(mode);
    // Threads of 256 MiB, and no memory that the allocator reserves for each.
    command.env("RUST_MIN_STACK", (256u64 << 20).to_string());
    command.env("MALLOC_ARENA_MAX", "1");
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {error}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn number(said: &str, name: &str) -> u64 {
    let mut words = said.split_whitespace().skip_while(|word| *word != name);
    words.nth(1).unwrap().parse().unwrap()
}

#[test]
fn c6_a_run_whose_threads_cannot_be_started_says_so_or_does_with_less() {
    let said = child("threads");
    println!("C6: with room for 0 to 9 threads: {said}");
    let of = |name| number(&said, name);
    assert_eq!(of("refused") + of("ran"), 20);
    assert!(of("refused") >= 5, "there was room: {said}");
    assert!(of("short") >= 1, "none went on with less: {said}");
}

#[test]
fn c8_a_pool_that_cannot_be_mapped_says_so_and_one_without_huge_pages_says_what_it_has() {
    let said = child("memory");
    println!("C8: with room for 0 to 92 MiB: {said}");
    let of = |name| number(&said, name);
    assert_eq!(of("refused") + of("built"), 72);
    assert!(of("refused") >= 20 && of("built") >= 20, "{said}");
    assert!(said.contains("Base"), "{said}");
}
