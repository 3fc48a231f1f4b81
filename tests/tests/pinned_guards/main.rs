//! Guards before stages with threads of their own, with `simd` and with `prefetch`: every guard before every kind of stage, with a
//! dependency that fails; nothing is lost, nothing comes twice, order is kept, and the ledger balances.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::boxed_local,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

mod kinds;
mod looked;
mod waits;
mod world;
