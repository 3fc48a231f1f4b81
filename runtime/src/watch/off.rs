//! Without the feature `watch` no tuning file is watched: the types of `watch.rs`, without a value.

use std::sync::Arc;

use crate::{error::TuningError, shared::Shared};

/// A file to watch.
#[derive(Clone, Debug)]
pub(crate) enum Watched {}

/// A file that is watched.
#[derive(Debug)]
pub(crate) enum Watching {}

impl Watched {
    pub(crate) fn start(self, _: &Arc<Shared>) -> Result<Watching, TuningError> {
        match self {}
    }
}
