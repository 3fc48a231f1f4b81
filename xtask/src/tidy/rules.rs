//! The numbers and names of the house rules.

/// No Rust file is longer.
pub(super) const MAX_LINES: usize = 600;

/// A longer Rust file is worth a look.
pub(super) const GOOD_LINES: usize = 450;

/// No function is longer, counted from `fn` to its closing brace; tests aside.
pub(super) const MAX_FUNCTION: usize = 80;

/// The package that may have `unsafe` code.
pub(super) const UNSAFE_PACKAGE: &str = "pipewright";

/// The modules of it that have some.
pub(super) const UNSAFE_MODULES: [&str; 18] = [
    "runtime/src/carrier.rs",
    "runtime/src/deposit.rs",
    "runtime/src/diagnose.rs",
    "runtime/src/link/join.rs",
    "runtime/src/link/keyed.rs",
    "runtime/src/link/serial.rs",
    "runtime/src/loom_models.rs",
    "runtime/src/meet.rs",
    "runtime/src/ring.rs",
    "runtime/src/source/ingress.rs",
    "runtime/src/source/pieces.rs",
    "runtime/src/source/poll.rs",
    "runtime/src/spsc/burst.rs",
    "runtime/src/spsc/consumer.rs",
    "runtime/src/spsc/mod.rs",
    "runtime/src/spsc/producer.rs",
    "runtime/src/token.rs",
    "runtime/src/worker.rs",
];

/// Words of unfinished work. They are put together here so that this file does not hold them.
pub(super) const UNFINISHED: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];

/// Macros of unfinished work.
pub(super) const UNFINISHED_MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Folders of somebody's machine.
pub(super) const PRIVATE_FOLDERS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
];
