//! In-process data pipelines: declared in attributes or in RON, checked at compile time, run as fused loops.

mod batch;
mod builder;
mod carrier;
mod counts;
mod credit;
mod diagnose;
mod drive;
mod emit;
mod error;
mod graph;
mod idle;
mod link;
mod metrics;
mod report;
mod ring;
mod running;
mod settings;
mod shared;
mod source;
mod stage;
mod sync;
mod token;
mod tuning;
mod worker;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::{
    batch::Batch,
    builder::Builder,
    emit::{Emit, Flow},
    error::{InitError, RunError, SendError, StartError, TrySendError, TuningError},
    graph::{Blueprint, NoInput},
    link::Merge,
    metrics::{Metrics, StageMetrics},
    report::{Failed, Ledger, Report},
    running::{Input, Running},
    shared::PanicNote,
    source::Splittable,
};

/// A moment for the other hardware thread, while looking again for what another worker is about to do.
#[inline]
pub(crate) fn spin() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
