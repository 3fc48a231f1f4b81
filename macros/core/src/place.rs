//! Where something was written: in Rust tokens, or in a RON file that the macro read.

use std::ops::Range;

use proc_macro2::Span;

/// The place of a name or a value of a pipeline.
#[derive(Debug, Clone)]
pub enum Place {
    /// A token of the Rust source.
    Rust(Span),
    /// Bytes of the RON file.
    Ron(Range<usize>),
}

impl Place {
    /// The span of a token; a text place has none.
    pub(crate) fn span(&self) -> Option<Span> {
        match self {
            Place::Rust(span) => Some(*span),
            Place::Ron(_) => None,
        }
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Place {
        Place::Rust(span)
    }
}
