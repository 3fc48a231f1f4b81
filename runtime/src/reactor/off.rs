//! Without the feature `tokio`, futures have to bring what they wait for.

use std::io;

use crate::settings::Settings;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Reactor;

/// Nothing was entered.
#[derive(Debug)]
pub(crate) struct Entered;

impl Reactor {
    pub(crate) fn new(_: &Settings) -> io::Result<Self> {
        Ok(Self)
    }

    /// For a dry run.
    pub(crate) fn aside(_: &Settings) -> Self {
        Self
    }

    /// Nothing to find.
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }
}
