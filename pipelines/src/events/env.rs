//! What the stages of a run share.

use std::sync::Arc;

use super::{deliver::Inbox, feed::Feed, route::Routes, tally::Tally};

/// What the stages of a run share.
#[derive(Debug)]
pub struct Env {
    /// What the source reads.
    pub feed: Feed,
    /// The year of formats that do not write it.
    pub year: i16,
    /// How long an event is not repeated, in milliseconds.
    pub window_ms: i64,
    /// Who gets what.
    pub routes: Routes,
    /// The ways to the services, by their numbers.
    pub inboxes: Vec<Inbox>,
    /// What was rejected.
    pub tally: Arc<Tally>,
}
