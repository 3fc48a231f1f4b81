//! Ready-made pipelines, and the command line that runs them.

#![forbid(unsafe_code)]

pub mod allocator;
pub mod cli;
pub mod ending;
pub mod events;
pub mod files;
pub mod gateway;
pub mod http;
pub mod starting;
pub mod telling;
pub mod txpool;
