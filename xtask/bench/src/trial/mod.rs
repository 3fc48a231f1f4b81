//! Trials of whatever takes items: a pipeline, or what it is compared with.
//!
//! Who wants to have something measured says how it is started and how items come in ([`Subject`]), calls [`Probe::done`] where they
//! leave it, and gives it a name in a binary whose `main` is [`Trials::main`]. Everything else is the same for all: how fast it
//! goes, what items at their own times wait for, what is allocated, whether everything is given back.
//!
//! ```
//! use pipewright_bench::{
//!     protocol::Request,
//!     trial::{About, Probe, Stage, Stamp, Stamped, Subject, Trials},
//! };
//!
//! struct Number {
//!     stamp: Stamp,
//!     value: u64,
//! }
//!
//! impl Stamped for Number {
//!     fn stamp(&mut self) -> &mut Stamp {
//!         &mut self.stamp
//!     }
//! }
//!
//! /// Squares numbers on the thread that sends them.
//! struct Squares {
//!     probe: Probe,
//!     next: u64,
//! }
//!
//! impl Subject for Squares {
//!     type Item = Number;
//!     const STAGES: &'static [Stage] = &[Stage::free("square")];
//!
//!     fn start(_: &Request, probe: Probe) -> Result<Self, String> {
//!         Ok(Self { probe, next: 0 })
//!     }
//!     fn item(&mut self, stamp: Stamp) -> Number {
//!         self.next += 1;
//!         Number { stamp, value: self.next }
//!     }
//!     fn try_send(&mut self, mut item: Number) -> bool {
//!         let square = self.probe.stage(0, &mut item, |item| item.value * item.value);
//!         self.probe.result(square);
//!         self.probe.done(&item.stamp);
//!         true
//!     }
//!     fn send(&mut self, items: &mut Vec<Number>) -> Result<(), String> {
//!         items.drain(..).for_each(|item| assert!(self.try_send(item)));
//!         Ok(())
//!     }
//!     fn finish(self) -> Result<(), String> {
//!         Ok(())
//!     }
//! }
//!
//! let trials = Trials::new(None).subject::<Squares>("squares", About::of("squares of numbers"));
//! let request = Request { items: Some(3), ..Request::new("throughput/squares", 1, [0, 10]) };
//! let answer = trials.trial(&request)?;
//! assert_eq!(answer.metrics["items"], 3.0);
//! # Ok::<(), String>(())
//! ```

mod apart;
mod closed;
mod counted;
mod entries;
pub(crate) mod latencies;
mod open;
mod probe;
mod process;
mod timeline;
mod watched;

use std::time::Instant;

pub use counted::Lot;
pub use entries::{About, Trials};
pub use probe::{Probe, Stage, Stamp, Stamped};

use crate::protocol::{Request, Signs};

/// Something that takes items.
pub trait Subject: Sized {
    /// What it takes.
    type Item;

    /// The stages whose work it tells [`Probe::stage`], in their order; none if it tells nothing.
    const STAGES: &'static [Stage] = &[];

    /// Starts it. Whatever it draws comes from the request's seed; `workers`, `level`, `mix` and `plant` are its own to follow.
    ///
    /// # Errors
    ///
    /// If it does not start, or cannot do what is asked.
    fn start(request: &Request, probe: Probe) -> Result<Self, String>;

    /// Processors that it keeps busy: one for each worker, if it does not say. Where there are more, a generator that sends items at
    /// their own times spins on the last of them, and the subject is started on the others and sees no more: one that binds a thread
    /// to the last one says here that it needs all.
    fn processors(request: &Request) -> usize {
        request.workers()
    }

    /// The next item. Its stamp is what [`Probe::stage`] and [`Probe::done`] are told again.
    fn item(&mut self, stamp: Stamp) -> Self::Item;

    /// Gives it an item; `false` if it has no room. It does not wait.
    fn try_send(&mut self, item: Self::Item) -> bool;

    /// Gives it all of these, and waits while it has no room.
    ///
    /// # Errors
    ///
    /// If it has ended.
    fn send(&mut self, items: &mut Vec<Self::Item>) -> Result<(), String>;

    /// What it did against overload until now. Asked a few times a second.
    fn signs(&self) -> Signs {
        Signs::default()
    }

    /// Waits until all items are done, and ends it.
    ///
    /// # Errors
    ///
    /// If it did not end well.
    fn finish(self) -> Result<(), String>;
}

/// What counts allocations: how many there were, how many bytes they took, and how many bytes are live.
pub type Allocations = fn() -> Counted;

/// What an allocator has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Bytes that were allocated.
    pub bytes: u64,
    /// Bytes that are allocated now.
    pub live: i64,
}

/// A trial, or why it cannot be made.
pub(crate) type Trial = Result<crate::protocol::Answer, String>;

/// Waits until so many items are done.
///
/// # Errors
///
/// If none was for half a minute: they are lost, and it would wait for ever.
fn wait_for(probe: &Probe, items: u64) -> Result<(), String> {
    const LOST_SECONDS: u64 = 30;
    const LOOKS_APART: u32 = 16;
    let (mut seen, mut since) = (probe.finished(), Instant::now());
    let mut looks = 0_u32;
    loop {
        let done = probe.finished();
        if done >= items {
            return Ok(());
        }
        looks = looks.wrapping_add(1);
        // The clock is looked at now and then: what comes in a few microseconds does not pay for it.
        if looks.is_multiple_of(128) {
            if done != seen {
                (seen, since) = (done, Instant::now());
            }
            if since.elapsed().as_secs() >= LOST_SECONDS {
                return Err(format!("{} of {items} items never came out", items - done));
            }
            std::thread::yield_now();
        }
        // Whoever counts what is done should not have to fetch the counter back each time.
        for _ in 0..LOOKS_APART {
            std::hint::spin_loop();
        }
    }
}
