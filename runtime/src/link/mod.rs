//! Links: how a batch gets from one segment to the next.
//!
//! A link makes the empty carriers that its producers fill, and takes the filled ones. Three verbs, named alike on every
//! kind: `carrier` (an empty one, sharing the ticket of what is being worked on), `enter` (carry it on now), and `post`
//! (leave it in the worker's queue; used by producers that hold a gate, so that the gate is held no longer than needed).
//! To pinned threads carriers are left by `leave`, and items go one by one through a ring; see [`crate::pin`].

mod deposit;
mod direct;
mod join;
mod keyed;
mod ring;
mod serial;

pub use self::{
    deposit::Deposit,
    direct::Direct,
    keyed::{Hashed, KeyedLink, KeyedSolo, Part, Shard},
    ring::{RingLink, RingLoad, Sender, Sending},
    serial::Serial,
};

/// A state of which each worker has its own, merged when the run ends.
///
/// ```
/// use pipewright::Merge;
///
/// #[derive(Default)]
/// struct Sum(u64);
///
/// impl Merge for Sum {
///     fn merge(&mut self, other: Self) {
///         self.0 += other.0;
///     }
/// }
/// ```
pub trait Merge {
    /// Takes another worker's state in.
    fn merge(&mut self, other: Self);
}
