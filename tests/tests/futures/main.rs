//! Async stages: futures that wait, end in any order, take too long, fail and panic; and what becomes of their items.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

mod doors;
mod ends;
mod faults;
mod order;
mod retuned;
mod timers;
mod world;
