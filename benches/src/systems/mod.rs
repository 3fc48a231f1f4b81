//! The transaction scanner and the event daemon measured, where nothing else does: stage by stage, by the number of workers, and by
//! the number of services beside what the daemon replaces.

pub mod events;
pub mod txpool;
