//! `cargo xtask sanitize`: the runtime's tests with every access to memory watched.
//!
//! AddressSanitizer finds what is used after it was freed, freed twice, or outside of its bounds; ThreadSanitizer finds accesses of
//! two threads that nothing orders. Both are options of nightly compilers. The pinned one has their code and their runtime
//! libraries too, and is told to use them by `RUSTC_BOOTSTRAP`; what is built so is for these tests alone.
//!
//! The standard library stays as it came, because its source, to build it again, is not a part of the toolchain. What of it is
//! generic is compiled with us and watched; the rest is not. AddressSanitizer misses wrong accesses there, and reports none that
//! is right. ThreadSanitizer does not see how the rest orders threads, and it knows no fences at all, neither ours nor those of
//! `Arc`; what it reports because of that is left out by `tests/tsan.supp`, which says why of each line. How a `Mutex` is waited for
//! is in that rest: where threads wait for each other it reports races of what the lock protects. So it runs the unit tests alone,
//! in which the pieces without locks are; what whole pipelines do under locks it cannot tell until its own standard library is there.

use std::{path::PathBuf, process::Command};

use clap::ValueEnum;

use crate::{Outcome, cargo, say};

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// Memory that is used after it was freed, freed twice, lost, or outside of its bounds
    Address,
    /// Accesses of several threads that nothing orders
    Thread,
}

/// The tests from outside that have threads, pools or files in them.
const TESTS: [&str; 14] = [
    "acks",
    "breaker",
    "dead_letter_file",
    "fork",
    "keys",
    "memory",
    "memory_objects",
    "memory_threads",
    "ordering",
    "panics",
    "pinned",
    "pinned_keys",
    "prefetch",
    "simd",
];

/// Runs the unit tests of the runtime, and then tests from outside, with one sanitizer or with both.
pub(crate) fn run(which: Option<Sanitizer>) -> Outcome {
    let all = match which {
        Some(one) => vec![one],
        None => Sanitizer::value_variants().to_vec(),
    };
    let mut passed = true;
    for sanitizer in all {
        say::line(format!(
            "=== {}Sanitizer; the standard library itself is not watched",
            sanitizer.title()
        ))?;
        let lib = ["--package", "pipewright", "--lib", "--features", "durable"].map(str::to_owned);
        passed &= test(sanitizer, &lib)?;
        if sanitizer == Sanitizer::Thread {
            say::line(
                "the tests of whole pipelines are left out: it does not see how std's `Mutex` is waited for",
            )?;
            continue;
        }
        let mut tests = ["--package", "pipewright-tests"]
            .map(str::to_owned)
            .to_vec();
        tests.extend(
            TESTS
                .iter()
                .flat_map(|test| ["--test".to_owned(), (*test).to_owned()]),
        );
        passed &= test(sanitizer, &tests)?;
    }
    Ok(passed)
}

fn test(sanitizer: Sanitizer, what: &[String]) -> Outcome {
    let (host, library) = runtime_library(sanitizer)?;
    if !library.is_file() {
        return Err(format!(
            "this toolchain has no {}Sanitizer: there is no `{}`",
            sanitizer.title(),
            library.display()
        ));
    }
    let mut command = cargo::cargo(["test", "--no-fail-fast", "--target", &host]);
    command
        .args(what)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        // Reports tell lines.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("CARGO_TARGET_DIR", cargo::target().join(sanitizer.name()))
        .env(sanitizer.variable(), sanitizer.options());
    cargo::with_flags(&mut command, "RUSTFLAGS", &sanitizer.flags());
    cargo::status(&mut command).map(|status| status.success())
}

/// The platform of this machine, and the library that a sanitizer is linked with there.
fn runtime_library(sanitizer: Sanitizer) -> Result<(String, PathBuf), String> {
    let ask = |args: &[&str]| {
        let output = Command::new("rustc").args(args).output();
        let output = output.map_err(|error| format!("cannot run `rustc`: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let version = ask(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("`rustc -vV` names no host")?.to_owned();
    let libraries = PathBuf::from(ask(&["--print", "target-libdir"])?);
    let file = format!("librustc-stable_rt.{}.a", sanitizer.short());
    Ok((host, libraries.join(file)))
}

impl Sanitizer {
    fn title(self) -> &'static str {
        match self {
            Self::Address => "Address",
            Self::Thread => "Thread",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }

    fn short(self) -> &'static str {
        match self {
            Self::Address => "asan",
            Self::Thread => "tsan",
        }
    }

    fn flags(self) -> String {
        // The compiler would refuse to link a standard library that was built without it.
        let mixed = match self {
            Self::Address => "",
            Self::Thread => " -Cunsafe-allow-abi-mismatch=sanitizer",
        };
        format!("-Zsanitizer={}{mixed}", self.name())
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Address => "ASAN_OPTIONS",
            Self::Thread => "TSAN_OPTIONS",
        }
    }

    fn options(self) -> String {
        match self {
            Self::Address => "detect_leaks=1:detect_stack_use_after_return=1".to_owned(),
            Self::Thread => {
                let suppressions = cargo::root().join("tests/tsan.supp");
                format!(
                    "suppressions={}:second_deadlock_stack=1",
                    suppressions.display()
                )
            }
        }
    }
}
