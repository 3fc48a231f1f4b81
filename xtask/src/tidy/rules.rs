//! The numbers and names of the house rules.

/// No Rust file is longer.
pub(super) const MAX_LINES: usize = 600;

/// A longer Rust file is worth a look.
pub(super) const GOOD_LINES: usize = 450;

/// No function is longer, counted from `fn` to its closing brace; tests aside.
pub(super) const MAX_FUNCTION: usize = 80;

/// The packages that may have `unsafe` code: the runtime, and the limits by hand of the comparison with peers.
pub(super) const UNSAFE_PACKAGES: [&str; 2] = ["pipewright", "pipewright-peers-raw"];

/// The modules of them that have some.
pub(super) const UNSAFE_MODULES: &[&str] = &[
    "benches/peers/raw/src/blocks.rs",
    "benches/peers/raw/src/heap.rs",
    "benches/peers/raw/src/lanes.rs",
    "benches/peers/raw/src/pages.rs",
    "benches/peers/raw/src/ring.rs",
    "benches/peers/raw/src/system.rs",
    "benches/peers/raw/src/tbb.rs",
    "runtime/src/call_slots.rs",
    "runtime/src/calls/mod.rs",
    "runtime/src/carrier.rs",
    "runtime/src/deposit.rs",
    "runtime/src/diagnose.rs",
    "runtime/src/fork/job.rs",
    "runtime/src/fork/mod.rs",
    "runtime/src/fork/models.rs",
    "runtime/src/fork/seat.rs",
    "runtime/src/jemalloc.rs",
    "runtime/src/lent.rs",
    "runtime/src/link/join.rs",
    "runtime/src/link/keyed/mod.rs",
    "runtime/src/link/serial.rs",
    "runtime/src/loom_models.rs",
    "runtime/src/machine/clock.rs",
    "runtime/src/machine/realtime.rs",
    "runtime/src/meet.rs",
    "runtime/src/memory/arena/heap.rs",
    "runtime/src/memory/arena/linux.rs",
    "runtime/src/memory/arena/mod.rs",
    "runtime/src/memory/batch.rs",
    "runtime/src/memory/block.rs",
    "runtime/src/memory/depot.rs",
    "runtime/src/memory/loom_models.rs",
    "runtime/src/memory/magazine.rs",
    "runtime/src/memory/objects.rs",
    "runtime/src/memory/rack.rs",
    "runtime/src/memory/thread.rs",
    "runtime/src/prefetch.rs",
    "runtime/src/prefetch/ring.rs",
    "runtime/src/ring.rs",
    "runtime/src/shelf.rs",
    "runtime/src/simd/block.rs",
    "runtime/src/simd/lanes.rs",
    "runtime/src/simd/level.rs",
    "runtime/src/simd/run.rs",
    "runtime/src/source/ingress.rs",
    "runtime/src/source/ingress/taken.rs",
    "runtime/src/source/pieces.rs",
    "runtime/src/source/poll.rs",
    "runtime/src/spare.rs",
    "runtime/src/spsc/burst.rs",
    "runtime/src/spsc/consumer.rs",
    "runtime/src/spsc/mod.rs",
    "runtime/src/spsc/producer.rs",
    "runtime/src/token.rs",
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
