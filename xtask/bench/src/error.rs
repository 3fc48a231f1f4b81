//! Why a command ends without a result, and the codes that commands end with.

use std::{io, path::Path};

/// Why a command ends without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something that was typed, or a file that was named, is wrong.
    #[error("{0}")]
    Usage(String),
    /// A tool, a build or the disk failed.
    #[error("{0}")]
    Tool(String),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted: what was finished is kept")]
    Interrupted,
}

impl Error {
    /// A file that could not be read or written.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::Tool(format!("cannot {what} `{}`: {error}", path.display()))
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Tool(_) => code::TOOL,
            Self::Usage(_) => code::USAGE,
            Self::Interrupted => code::INTERRUPTED,
        }
    }
}

/// What commands end with.
pub(crate) mod code {
    /// Everything is as it should be, or it is not known and that is allowed.
    pub(crate) const PASS: u8 = 0;
    /// A tool or a build failed.
    pub(crate) const TOOL: u8 = 1;
    /// What was typed is wrong, or a file that was named.
    pub(crate) const USAGE: u8 = 2;
    /// A metric that gates is worse.
    pub(crate) const REGRESSED: u8 = 10;
    /// A target is missed.
    pub(crate) const TARGET: u8 = 11;
    /// There are more allocations, instructions or bytes of code than there may be, or memory leaks.
    pub(crate) const BUDGET: u8 = 12;
    /// A metric that gates is inconclusive, and `--deny-inconclusive` was given.
    pub(crate) const INCONCLUSIVE: u8 = 13;
    /// A metric that gates is refused, and `--deny-refused` was given; something could not be compared on this machine, and
    /// `--deny-skipped` was given; or two results are not of the same.
    pub(crate) const REFUSED: u8 = 14;
    /// There is no baseline to compare with.
    pub(crate) const BASELINE: u8 = 15;
    /// The tool did not find what was planted, or found what is not there.
    pub(crate) const SELFTEST: u8 = 30;
    /// Somebody pressed Ctrl-C.
    pub(crate) const INTERRUPTED: u8 = 130;
}
