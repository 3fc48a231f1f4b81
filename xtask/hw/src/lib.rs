//! What a machine offers a pipeline: static checks, a match with what the pipeline declares, and measurements.
//!
//! All that is read of the machine goes through [`Files`], whose root can be a recording; what the kernel tells is parsed
//! by the runtime, which needs it to place its threads.

#![forbid(unsafe_code)]

pub mod check;
mod checks;
pub mod declared;
pub mod diff;
pub mod floor;
pub mod host;
mod identity;
pub mod parse;
pub mod probe;
pub mod saved;
pub mod script;
pub mod text;
pub mod thresholds;

pub use identity::identity;
pub use pipewright::machine::kernel::{Files, Why, parse_list};
