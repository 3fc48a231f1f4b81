//! Routes events to services: a daemon between programs that tell what happens and programs that want to know.
//!
//! Lines come from files, sockets, HTTP, watched directories and a generator, in JSON and in six formats of log files. Each is parsed,
//! brought into one form, left out if it repeats another, enriched, and handed to every service that has subscribed to such
//! events. Each service has a queue, a thread and a rule of its own for when it does not keep up.

pub mod baseline;
pub mod cli;
pub mod dedup;
pub mod deliver;
mod drops;
pub mod enrich;
pub mod entrance;
pub mod env;
pub mod feed;
pub mod files;
pub mod flow;
pub mod generate;
pub mod lines;
pub mod mark;
pub mod normalise;
pub mod notices;
pub mod outlet;
pub mod parse;
pub mod positions;
pub mod reject;
pub mod route;
pub mod run;
pub mod sequential;
pub mod service;
mod stamp;
pub mod status;
pub mod summary;
pub mod tail;
pub mod tally;
pub mod target;
pub mod types;

#[cfg(test)]
mod tests;
