//! What a machine offers a pipeline: static checks, a match with what the pipeline declares, and measurements.
//!
//! All that is read of the machine goes through [`Files`], whose root can be a recording; what the kernel tells is parsed
//! by the runtime, which needs it to place its threads.

#![forbid(unsafe_code)]

pub mod floor;
mod identity;
pub mod saved;

pub use identity::identity;
pub use pipewright::machine::kernel::{Files, Why, parse_list};
