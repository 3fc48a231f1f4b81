//! What all flights of a stage share, whatever their types: the flights themselves, who wakes them, and what was counted.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    task::Wake,
};

use pipewright_spec::info::TopologyInfo;

use crate::{
    aside::Parked,
    carrier::Task,
    flight::Flight,
    settings::Settings,
    shared::Shared,
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// The async stages of a run, by stage.
#[derive(Debug)]
pub(crate) struct Flights(Box<[Option<Arc<Hub>>]>);

impl Flights {
    pub(crate) fn new(info: &TopologyInfo, settings: &Settings) -> Self {
        let stages = settings.stages.iter().enumerate();
        let hub = |(at, stage): (usize, &crate::settings::StageSettings)| {
            let link = info
                .links
                .iter()
                .position(|link| usize::from(link.to) == at);
            let (true, Some(link)) = (stage.is_async, link) else {
                return None;
            };
            // Each batch at the stage's link is one flight at most.
            let flights = settings.most_at(info, link);
            Some(Arc::new(Hub::new(at as u16, flights, stage.in_flight)))
        };
        Self(stages.map(hub).collect())
    }

    pub(crate) fn of(&self, stage: usize) -> Option<&Arc<Hub>> {
        self.0.get(stage)?.as_ref()
    }

    /// Lets all flights of all stages run again; `leave` takes those that were parked.
    pub(crate) fn ring_all(&self, mut leave: impl FnMut(Task)) {
        for hub in self.0.iter().flatten() {
            hub.ring_all(&mut leave);
        }
    }

    /// The end of the run, behind its last worker: drops and counts what is still parked.
    pub(crate) fn close(&self) {
        for hub in self.0.iter().flatten() {
            hub.flights.iter().for_each(|flight| drop(flight.close()));
        }
    }
}

/// The flights of one stage.
pub(crate) struct Hub {
    pub(crate) stage: u16,
    /// Seats, which are made when the run starts.
    pub(crate) made: u32,
    /// How many of them may have futures at once: all, or fewer since.
    most: AtomicU32,
    /// Seats that flights have. Whoever has the lock of the seats changes it.
    out: AtomicU32,
    flights: Box<[Flight<Task>]>,
    shared: OnceLock<Weak<Shared>>,
    pub(super) tallies: Tallies,
}

/// What was counted, once a run of a flight.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) begun: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) peak: AtomicU64,
}

impl Hub {
    fn new(stage: u16, flights: usize, most: u32) -> Self {
        let flight = |_| Flight::new(most as usize);
        Self {
            stage,
            made: most,
            most: AtomicU32::new(most),
            out: AtomicU32::new(0),
            flights: (0..flights).map(flight).collect(),
            shared: OnceLock::new(),
            tallies: Tallies::default(),
        }
    }

    /// Says whose run it is.
    pub(super) fn attach(&self, shared: &Arc<Shared>) {
        self.shared.get_or_init(|| Arc::downgrade(shared));
    }

    pub(super) fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.get()?.upgrade()
    }

    /// How many futures may be under way at once.
    pub(crate) fn most(&self) -> u32 {
        // Relaxed: who changes it rings all flights, and so they see it when they run next.
        self.most.load(Ordering::Relaxed)
    }

    /// So many may be under way from now on, but no more than there are seats. Flights are to be rung then.
    pub(crate) fn retune(&self, most: u32) {
        self.most.store(most.clamp(1, self.made), Ordering::Relaxed);
    }

    /// Flights have so many seats. Called under the lock of the seats.
    pub(super) fn set_out(&self, out: usize) {
        self.out.store(out as u32, Ordering::Relaxed);
    }

    /// So many more seats may be given out. Called under the lock of the seats.
    pub(super) fn left(&self) -> usize {
        self.most().saturating_sub(self.out.load(Ordering::Relaxed)) as usize
    }

    /// Do flights have more seats than there may be futures, since it was lowered?
    pub(super) fn has_too_many(&self) -> bool {
        self.out.load(Ordering::Relaxed) > self.most()
    }

    pub(super) fn flights(&self) -> usize {
        self.flights.len()
    }

    pub(crate) fn flight(&self, flight: usize) -> &Flight<Task> {
        &self.flights[flight]
    }

    /// Lets a flight run again.
    pub(super) fn ring(&self, flight: usize) {
        self.flights[flight].ring(|task| self.leave(task));
    }

    /// Lets all flights run again; `leave` takes those that were parked.
    pub(crate) fn ring_all(&self, mut leave: impl FnMut(Task)) {
        for flight in &self.flights {
            flight.ring(&mut leave);
        }
    }

    /// A batch that was parked goes on. While there is one its run is there, which its carrier keeps.
    fn leave(&self, task: Task) {
        if let Some(shared) = self.shared() {
            shared.leave_task(task);
        }
    }

    /// What came of a run of a flight.
    pub(super) fn count(&self, begun: u64, ended: u64, polls: u64, cancelled: u64) {
        let add = |to: &AtomicU64, n: u64| match n {
            0 => to.load(Ordering::Relaxed),
            _ => to.fetch_add(n, Ordering::Relaxed) + n,
        };
        let tallies = &self.tallies;
        let begun = add(&tallies.begun, begun);
        let under_way = begun.saturating_sub(add(&tallies.ended, ended));
        add(&tallies.polls, polls);
        add(&tallies.cancelled, cancelled);
        if under_way > tallies.peak.load(Ordering::Relaxed) {
            tallies.peak.fetch_max(under_way, Ordering::Relaxed);
        }
    }

    /// So many futures were dropped when the run had ended.
    pub(super) fn count_cancelled(&self, cancelled: u64) {
        self.count(0, cancelled, 0, cancelled);
    }

    pub(crate) fn seen(&self) -> FlightMetrics {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tallies {
            begun,
            ended,
            polls,
            cancelled,
            peak,
        } = &self.tallies;
        // What has ended is read first, so that nothing ends that never began.
        let ended = of(ended);
        let begun = of(begun);
        FlightMetrics {
            in_flight: begun.saturating_sub(ended),
            most: self.most().into(),
            peak: of(peak),
            begun,
            polls: of(polls),
            cancelled: of(cancelled),
        }
    }
}

impl Shared {
    /// Parks a flight, until a future of it is woken or it is due.
    pub(crate) fn park(&self, flight: usize, parked: Parked) {
        let Parked { due, stage, .. } = parked;
        let Some(hub) = self.flights.of(stage.into()) else {
            return;
        };
        let flights = hub.flight(flight);
        if due < u64::MAX && flights.set_alarm(due) && self.aside.set_alarm(due, stage, flight) {
            self.idle.wake_one();
        }
        if let Some(task) = flights.park(parked.task) {
            self.leave_task(task);
        }
    }
}

/// The waker of a seat: it knows in which flight the seat is.
#[derive(Debug)]
pub(super) struct SeatWaker {
    hub: Arc<Hub>,
    /// The flight and the seat's place in it, as they are in 32 bits each.
    home: AtomicU64,
}

impl SeatWaker {
    pub(super) fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self {
            hub: Arc::clone(hub),
            home: AtomicU64::new(0),
        })
    }

    /// The seat is in this flight now.
    pub(super) fn settle(&self, flight: usize, place: u32) {
        // Relaxed: who wakes a future was handed its waker later; who wakes an earlier one wakes somebody for no reason.
        let home = (flight as u64) << 32 | u64::from(place);
        self.home.store(home, Ordering::Relaxed);
    }
}

impl Wake for SeatWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let home = self.home.load(Ordering::Relaxed);
        let (flight, place) = ((home >> 32) as usize, home as u32 as usize);
        self.hub.flights[flight].wake(place, |task| self.hub.leave(task));
    }
}

/// What an async stage has counted of its futures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlightMetrics {
    /// Futures that are under way. It is counted when a worker is done with a batch for now, as the other numbers are.
    pub in_flight: u64,
    /// The most that there may be: `in_flight` of the stage.
    pub most: u64,
    /// The most that there were.
    pub peak: u64,
    /// Futures that were begun.
    pub begun: u64,
    /// Times that one was polled.
    pub polls: u64,
    /// Futures that were dropped before they ended, because they took too long or the run stopped.
    pub cancelled: u64,
}

impl fmt::Display for FlightMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            in_flight,
            most,
            begun,
            polls,
            ..
        } = self;
        write!(
            f,
            "{begun} futures in {polls} polls, {in_flight} under way, {} at most, of {most}",
            self.peak
        )?;
        if self.cancelled > 0 {
            write!(f, ", {} cancelled", self.cancelled)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("stage", &self.stage)
            .field("most", &self.most())
            .finish_non_exhaustive()
    }
}
