//! The gateway's cache and policies measured: by themselves, against a Redis, and against a policy server over HTTP.
//!
//! Contenders take turns in rounds, in one process, in an order that changes with each round. A ratio is of two contenders in the same
//! round; its interval is the Hodges-Lehmann one of the logarithms, at 95 %. Latencies are those of single calls, timed one by one,
//! in a pass of their own, because looking at the clock costs as much as the cheapest of them.
//!
//! Clients of Redis and of the policy server are written by hand and do the least that a client can do, and what comes back is only
//! decoded where results are compared: so whatever a real client costs more is not held against them.

pub mod cache;
pub mod compared;
pub mod link;
pub mod memory;
pub mod policy;
pub mod servers;
