//! What can go wrong with pools.

use std::io;

use super::Class;

/// There is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// All blocks that this thread could have are in use. What lay in the pool's depot has been looked for; some may lie
    /// free in the magazines of other threads (see the [module](super)).
    #[error("all {capacity} blocks of {class} are in use, or in the magazines of other threads")]
    Exhausted {
        /// The class that was asked for.
        class: Class,
        /// How many blocks of it the pool has.
        capacity: usize,
    },
    /// All objects that this thread could have are in use.
    #[error("all {capacity} objects are in use, or in the magazines of other threads")]
    NoObject {
        /// How many objects the pool has.
        capacity: usize,
    },
    /// The pool has no blocks that large.
    #[error("{len} bytes are more than the largest block of the pool has: {largest}")]
    TooLarge {
        /// Bytes that were asked for.
        len: usize,
        /// Bytes of the pool's largest blocks.
        largest: usize,
    },
}

/// A pool cannot be built. Nothing is left allocated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder was told of no blocks, or an object pool of no objects.
    #[error("the pool would be empty: give a class at least one block")]
    Empty,
    /// More blocks of a class, or more objects, than a pool can count: 2 Gi.
    #[error("{count} are more than a pool can have: {most}")]
    TooMany {
        /// How many were asked for.
        count: usize,
        /// The most that can be had.
        most: usize,
    },
    /// A magazine has 1 to 64 blocks.
    #[error("a magazine of {0} blocks is out of range: give 1 to 64")]
    Magazine(usize),
    /// The system has not as much memory.
    #[error("{count} blocks of {class} could not be mapped: {source}")]
    Map {
        /// The class.
        class: Class,
        /// How many blocks were asked for.
        count: usize,
        /// What the system said.
        source: io::Error,
    },
}
