//! Parsing, merging, planning and code generation behind the pipewright macros.
//!
//! This is an ordinary library: it does no I/O, never panics on what a user wrote, and always returns tokens.
//! The reading order is the order in which a pipeline goes through it.

#![forbid(unsafe_code)]

mod item;
mod module;

mod attr;
mod options;
mod signature;
mod stage;

mod import;
mod merge;
mod pipeline;
mod public;
mod read;

mod emit;

mod errors;
mod place;

use proc_macro2::TokenStream;

pub use pipewright_spec::{files, model::Kind, report::Source, ron};

pub use self::{
    pipeline::Files,
    place::Place,
    read::{FoundPipeline, read_pipelines},
};

/// Expands `#[stage]`, `#[source]` or `#[sink]`.
pub fn expand_stage(kind: Kind, attr: TokenStream, item: TokenStream) -> TokenStream {
    stage::expand(kind, attr, item)
}

/// Expands `#[pipeline]`. `files` reads the RON file that the attribute names.
pub fn expand_pipeline(attr: TokenStream, item: TokenStream, files: Files<'_>) -> TokenStream {
    pipeline::expand(attr, item, files)
}

/// Expands the macro that ends the module of a pipeline with imported stages.
pub fn finish_pipeline(input: TokenStream, files: Files<'_>) -> TokenStream {
    import::finish(input, files)
}
