//! Pinned threads: segments that run on threads of their own, beside the pool.
//!
//! A segment whose stages say `cores` has one thread for each of these cores. Its thread does one thing for the whole run:
//! it takes what is there, runs it through the segment's loop, and hands on. It is no worker of the pool: it takes nobody
//! else's work, and it may wait. Every wait ends when the run stops.
//!
//! | from, to | how | what a batch costs |
//! |---|---|---|
//! | pool, pinned | carriers are left in a deposit ring ([`crate::deposit`]) | one store, one read-modify-write by arrival |
//! | pool or pinned, pinned with keys on several threads | a deposit ring for each thread ([`crate::link`]) | the same for each thread |
//! | pinned, pinned | items in a ring ([`crate::spsc`]), where nothing behind goes back to the pool | one store |
//! | pinned, pinned | else carriers, as from the pool: their tickets are needed behind | the same |
//! | pinned, pool | carriers, as tasks in the pool's common queue | a push, and a wake-up if a worker sleeps |
//!
//! **Sources.** A pinned source is pulled by its own threads and by nobody else ([`feed`]). A pull takes a ticket like any
//! other; where none is free the thread waits, which is the back-pressure of what is behind.
//!
//! **Waiting** ([`Waiter`]). `spin` looks again and again. `park` sleeps at once. `adaptive` looks for about as long as a
//! wake-up takes, which at most doubles the cost of any wait (Karlin et al., "Competitive randomized algorithms for
//! nonuniform problems", 1990), and then sleeps. Sleeping is [`crate::idle`] with one sleeper per thread: who leaves
//! something does so first, passes a full fence, and looks for the sleeper's bit; the sleeper sets its bit, passes a full
//! fence, and looks once more. To a segment that spins nobody passes a fence, so whether it spins is settled when the run starts;
//! whether the others look before they sleep can change. A thread with real-time priority runs before
//! the kernel's own threads of its core, so it only ever waits asleep, and one that shares its core has none.
//!
//! **Guarded stages.** Where a stage may not go on, because its breaker is open or an item is to be tried again after a pause, the
//! pool puts the batch aside; a pinned thread has nothing else to do, and waits with it ([`Pins::hold`]) until the time has come, or
//! what it waits for has changed, or the run is drained or stops. Threads that wait like this are sleepers of their own ([`crate::held`]),
//! so nobody wakes one of them for a batch that another thread of the segment could take. The batch keeps its ticket, so that the
//! sources wait in the end. A ring has no tickets, which say until when items are of use and bound what waits, so there is none
//! before or behind a guarded stage.
//!
//! **The end.** Whoever has nothing to do and finds every source ended and every ticket free ends the run: threads that
//! take carriers leave, their rings close behind them, and the threads behind leave when their rings are empty. So items
//! in rings, which hold no ticket, are taken before the run is over. After a stop every thread drops what comes, counts
//! it, and leaves.
//!
//! **Alone.** A worker never has a pipeline with pinned segments to itself, so nobody takes all tickets.

pub(crate) mod place;
mod thread;
mod wait;

use std::{fmt, time::Duration};

pub use self::thread::{Start, feed};
pub(crate) use self::{
    place::{Placement, place},
    thread::live,
    wait::Waiter,
};
use pipewright_spec::{
    info::{DoorInfo, TopologyInfo},
    options::Wait,
};

use crate::{
    held::Held,
    idle::Idle,
    settings::Settings,
    sync::{AtomicBool, Ordering, spin_loop},
};

/// The pinned segments of a run.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    places: Box<[Pin]>,
    /// Are the threads bound to their cores?
    bound: bool,
}

/// One of them.
pub(crate) struct Pin {
    /// Its sleepers, one for each thread.
    pub(crate) idle: Idle,
    /// Those that wait in the middle of a batch.
    pub(crate) held: Held,
    /// Do its threads never sleep, so that nobody wakes them?
    pub(crate) spins: bool,
    /// Do they sleep at once?
    parks: AtomicBool,
    /// The real-time priority of its threads.
    realtime: Option<u8>,
    /// The core of each thread; `None` for one that shares.
    pub(crate) cores: Box<[Option<u32>]>,
    /// The first of its threads, counted with the workers of the pool.
    first: usize,
    /// Is it headed by a source?
    feeds: bool,
}

impl Pins {
    /// As `placement` says, in a pool of `workers`.
    pub(crate) fn new(info: &TopologyInfo, placement: &Placement, workers: usize) -> Self {
        let mut first = workers;
        let pin = |(seat, info): (&place::Seat, &pipewright_spec::info::PinnedInfo)| {
            let pin = Pin {
                idle: Idle::new(seat.cores.len()),
                held: Held::new(seat.cores.len()),
                spins: seat.wait == Wait::Spin,
                parks: AtomicBool::new(seat.wait == Wait::Park),
                realtime: seat.realtime,
                cores: seat.cores.clone(),
                first,
                feeds: info.source.is_some(),
            };
            first += seat.cores.len();
            pin
        };
        Self {
            places: placement.seats.iter().zip(info.pinned).map(pin).collect(),
            bound: placement.bound,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All threads.
    pub(crate) fn threads(&self) -> usize {
        self.places.iter().map(|pin| pin.cores.len()).sum()
    }

    pub(crate) fn places(&self) -> &[Pin] {
        &self.places
    }

    /// The segment that thread `id` runs, and which of its threads it is.
    pub(crate) fn of(&self, id: usize) -> Option<(usize, usize)> {
        self.places.iter().enumerate().find_map(|(place, pin)| {
            let index = id.checked_sub(pin.first)?;
            (index < pin.cores.len()).then_some((place, index))
        })
    }

    /// Wakes a thread of a segment, after something was left for it.
    pub(crate) fn wake(&self, place: usize) {
        if let Some(pin) = self.places.get(place).filter(|pin| !pin.spins) {
            pin.idle.wake_one();
        }
    }

    /// Wakes one of its threads, after something was left for that one.
    pub(crate) fn wake_thread(&self, place: usize, index: usize) {
        if let Some(pin) = self.places.get(place).filter(|pin| !pin.spins) {
            pin.idle.wake(index);
        }
    }

    /// Wakes a thread of each source, after a ticket was given back.
    pub(crate) fn wake_sources(&self) {
        for pin in self.places.iter().filter(|pin| pin.feeds && !pin.spins) {
            pin.idle.wake_one();
        }
    }

    /// Wakes all threads, after something about the whole run has changed.
    pub(crate) fn wake_all(&self) {
        for pin in &self.places {
            pin.idle.wake_all();
            pin.held.tell();
        }
    }

    /// Lets those ask again that wait in the middle of a batch of `stage`.
    pub(crate) fn release(&self, info: &TopologyInfo, stage: u16) {
        if let Some(pin) = info.pinned_with(stage).and_then(|at| self.places.get(at)) {
            pin.held.tell();
        }
    }

    /// Thread `id` waits in the middle of a batch as long as there is time left.
    pub(crate) fn hold(&self, id: usize, left: impl Fn() -> Option<Duration>) {
        let Some((pin, index)) = self
            .of(id)
            .and_then(|(place, index)| Some((self.places.get(place)?, index)))
        else {
            return;
        };
        // One that is asked to look again and again does so; the others know when to wake.
        while pin.spins && left().is_some() {
            spin_loop();
        }
        pin.held.wait(index, left);
    }

    /// The threads that do not spin wait from now on as these numbers say.
    pub(crate) fn retune(&self, settings: &Settings, info: &TopologyInfo) {
        for (pin, pinned) in self.places.iter().zip(info.pinned) {
            let said = |stage: &u16| settings.stages[usize::from(*stage)].wait;
            let parks = match pinned.stages.iter().find_map(said) {
                Some(wait) => wait == Wait::Park,
                None => pin.realtime.is_some(),
            };
            // Relaxed: it says how long a thread looks, and nothing else.
            pin.parks.store(parks, Ordering::Relaxed);
        }
    }

    /// The segment behind a link.
    pub(crate) fn behind(&self, info: &TopologyInfo, link: u16) -> usize {
        let behind = info
            .pinned
            .iter()
            .position(|pinned| pinned.link == Some(link));
        behind.unwrap_or(usize::MAX)
    }

    /// The pinned segment before a link, where there is one.
    pub(crate) fn before(&self, info: &TopologyInfo, link: u16) -> usize {
        let to = usize::from(info.links[usize::from(link)].to);
        let doors = info.stages[to].inputs.iter();
        doors
            .filter(|door| door.stage != DoorInfo::INPUT)
            .find_map(|door| info.pinned_with(door.stage))
            .unwrap_or(usize::MAX)
    }
}

impl Pin {
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Do its threads sleep as soon as there is nothing to do?
    pub(crate) fn parks(&self) -> bool {
        self.parks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin")
            .field("cores", &self.cores)
            .field("spins", &self.spins)
            .field("parks", &self.parks())
            .finish_non_exhaustive()
    }
}
