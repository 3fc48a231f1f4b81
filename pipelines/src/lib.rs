//! Ready-made pipelines, and the command line that runs them.

#![forbid(unsafe_code)]

pub mod allocator;
pub mod cli;
pub mod events;
pub mod gateway;
pub mod http;
pub mod txpool;
