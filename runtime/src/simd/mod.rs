//! Vector code from plain stage functions: segments with `simd = ..` are compiled for several vector levels, and the best
//! one that the machine has runs.
//!
//! * [`level`]: the levels, which of them this machine has, and the one `match` that enters a function compiled for one.
//! * [`lanes`]: what a level does in its own way: turning the results of a filter into a mask, and packing what is kept.
//! * [`block`]: 64 items at a time, through maps and filters.
//! * [`run`]: the loop of such a segment: whole blocks first, single items where there is no block.
//!
//! User functions are inlined into a copy of the loop for each level, so LLVM compiles them for it. That is why nothing on
//! the way from the `match` to the user's function is a closure that holds the whole body: closures are not compiled for
//! the features of the function that they stand in, and a large one is not inlined.

mod block;
mod lanes;
mod level;
mod run;
mod source;

#[cfg(feature = "measure")]
pub(crate) use self::level::{Body, dispatch};
pub use self::{
    block::{Block, Sieve},
    lanes::Lanes,
    level::{Level, Levels},
    run::{
        Copied, CopiedNot, Copies, CopiesNot, CopiesYes, Feed, MayCopy, Vector,
        drive_tagged_vector, drive_vector,
    },
};
pub(crate) use self::{
    level::Available,
    run::{OneByOne, through},
    source::PieceFeed,
};
