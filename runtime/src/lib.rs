//! In-process data pipelines: declared in attributes or in RON, checked at compile time, run as fused loops.
//!
#![doc = include_str!("../../README.md")]
#![cfg_attr(
    loom,
    allow(
        dead_code,
        reason = "a loom build has the concurrent pieces and not their users"
    )
)]

// The concurrent pieces, each with its loom models; a loom build has nothing else.
mod ack_ring;
pub mod breaker;
mod call_slots;
mod credit;
mod deposit;
mod flight;
mod fork;
mod held;
mod idle;
mod intake;
mod jemalloc;
mod lane;
mod looks;
mod meet;
pub mod memory;
pub mod rate;
mod regroup;
mod ring;
mod seats;
mod senders;
mod spare;
pub mod spsc;
mod sync;
mod token;

#[cfg(all(test, loom))]
mod loom_models;

/// Generated beside an `async fn`: an error where the feature is missing.
#[cfg(feature = "async")]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_async {
    () => {};
}

/// Generated beside an `async fn`: an error where the feature is missing.
///
/// ```compile_fail
/// #[pipewright::stage]
/// async fn wait(n: u64) -> u64 {
///     n
/// }
/// # fn main() {}
/// ```
#[cfg(not(feature = "async"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_async {
    () => {
        ::core::compile_error!(
            "async stages need the `async` feature: `pipewright = { features = [\"async\"] }`"
        );
    };
}

/// Everything that is built on the concurrent pieces.
macro_rules! built_on_them {
    ($($item:item)*) => { $(#[cfg(not(loom))] $item)* };
}

built_on_them! {
    mod acks;
    mod ahead;
    mod alone;
    mod answers;
    mod aside;
    mod batch;
    mod beside;
    mod budget;
    mod builder;
    mod call;
    mod calls;
    mod carrier;
    mod classify;
    mod counts;
    mod crew;
    #[cfg(all(feature = "durable", target_os = "linux", not(shuttle)))]
    pub mod dead_letters;
    mod diagnose;
    mod drive;
    mod each;
    mod deadlines;
    mod dropped;
    mod dry_run;
    mod emit;
    mod ending;
    mod error;
    mod flights;
    #[cfg(feature = "failpoints")]
    #[doc(hidden)]
    pub mod failpoint;
    #[cfg(not(feature = "failpoints"))]
    mod failpoint;
    #[cfg(all(feature = "durable", target_os = "linux", not(shuttle)))]
    pub mod files;
    mod graph;
    mod guard;
    mod health;
    mod lane_queues;
    mod late;
    mod lent;
    mod letter;
    mod link;
    mod live;
    mod load;
    mod look_up;
    pub mod machine;
    mod metrics;
    pub mod pressure;
    pub mod prefetch;
    #[cfg(test)]
    mod placed;
    mod pin;
    #[cfg_attr(not(feature = "tokio"), path = "reactor/off.rs")]
    mod reactor;
    mod quarantine;
    mod report;
    mod reserve;
    mod rest;
    mod running;
    mod scarcity;
    mod settings;
    mod shared;
    mod shelf;
    #[cfg(feature = "signals")]
    mod signals;
    mod simd;
    mod source;
    mod stage;
    mod survive;
    mod tail;
    mod tuning;
    mod urgent;
    mod warnings;
    #[cfg_attr(not(feature = "watch"), path = "watch/off.rs")]
    mod watch;
    mod worker;
    mod worker_stats;

    #[cfg(feature = "measure")]
    #[doc(hidden)]
    pub mod measure;

    #[doc(hidden)]
    #[path = "private.rs"]
    pub mod __private;

    pub use pipewright_macros::{pipeline, sink, source, stage};
    pub use pipewright_spec::options::Priority;

    #[cfg(feature = "signals")]
    pub use crate::signals::Signals;
    #[cfg(feature = "async")]
    pub use crate::calls::Calling;
    pub use crate::{
        acks::{Acknowledge, Commit, Rewind},
        batch::Batch,
        budget::Buffers,
        builder::Builder,
        call::Outlet,
        calls::{Answers, CallError, Caller},
        classify::{Classify, ErrorClass},
        dropped::Dropped,
        dry_run::{DryCall, DryRun, IntoSpan, SpanError},
        emit::{Emit, Flow},
        error::{
            InitError, Panicked, RunError, SendBatchError, SendError, StartError, TrySendError, TuningError,
        },
        fork::join,
        graph::{Blueprint, NoInput},
        letter::{DeadLetter, NotKept, Origin},
        flights::{FlightMetrics, TimedOut},
        guard::GuardMetrics,
        health::{Concern, Health},
        link::Merge,
        metrics::{Metrics, StageMetrics},
        worker_stats::WorkerMetrics,
        report::{Aborted, Failed, Ledger, Report},
        ending::Left,
        late::LateBatch,
        live::{Change, Retuning},
        running::{Input, Monitor, Running},
        shared::PanicNote,
        simd::Level,
        source::Splittable,
    };
}
