//! The vocabulary of pipewright: the pipeline model, its checks, its file formats and its drawings.
//!
//! A pipeline is written in Rust attributes or in a RON file. Both end as a [`model::Model`], whose
//! type parameter is the *place* a thing was written at: a compiler span or a text range. So every
//! rule is written once, and the same problem reads the same in the compiler, in the run-time loader
//! and on the command line.
//!
//! This package knows neither tokens nor threads.

#![forbid(unsafe_code)]

pub mod model;
pub mod options;

pub mod cores;
pub mod files;
pub mod guards;
pub mod suggest;
pub mod units;

pub mod report;

pub mod check;

pub mod plan;
mod way;

pub mod draw;

pub mod info;
pub mod ron;

#[cfg(test)]
mod sketch;

pub use check::{check, check_names};
pub use plan::plan;
pub use way::way;

/// The version that is named in messages: `0.1`.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR")
);
