//! Seats of clients: so many may be connected, and those that say nothing keep nobody out.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The client is in the middle of something.
const BUSY: u64 = u64::MAX;
/// Another client has the seat.
const GIVEN: u64 = u64::MAX - 1;

/// The seats of all clients.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    /// How long a client may be silent between two lines if all seats are taken and another one comes.
    silence: Duration,
    begun: Instant,
    taken: Mutex<Vec<Arc<Seat>>>,
}

#[derive(Debug)]
struct Seat {
    /// Since when its client is silent, in milliseconds from the beginning of all; or what else it is. Only the client makes it
    /// busy or silent, and others give it away only while it is silent.
    silent: AtomicU64,
    given: Notify,
}

/// The seat of a client, until that drops it.
#[derive(Debug)]
pub(super) struct Place {
    seats: Arc<Seats>,
    seat: Arc<Seat>,
}

impl Seats {
    pub(super) fn new(most: usize, silence: Duration) -> Self {
        Self {
            most,
            silence,
            begun: Instant::now(),
            taken: Mutex::default(),
        }
    }

    /// A seat for a client that came now: a free one, or that of the client that has been silent for longest, if that was too long.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Place> {
        let now = self.millis(now);
        let mut taken = self.taken();
        if taken.len() >= self.most {
            self.give_away_one(&mut taken, now)?;
        }
        let seat = Arc::new(Seat {
            silent: AtomicU64::new(BUSY),
            given: Notify::new(),
        });
        taken.push(Arc::clone(&seat));
        let seats = Arc::clone(self);
        Some(Place { seats, seat })
    }

    fn give_away_one(&self, taken: &mut Vec<Arc<Seat>>, now: u64) -> Option<()> {
        loop {
            let since = |seat: &Arc<Seat>| seat.silent.load(Ordering::Relaxed);
            let seats = taken.iter().map(since).enumerate();
            let (at, silent) = seats.min_by_key(|(_, silent)| *silent)?;
            if u128::from(now.saturating_sub(silent)) <= self.silence.as_millis() {
                return None;
            }
            // It may have said something meanwhile.
            let order = Ordering::Relaxed;
            let given = taken[at]
                .silent
                .compare_exchange(silent, GIVEN, order, order);
            if given.is_ok() {
                taken.swap_remove(at).given.notify_one();
                return Some(());
            }
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.begun).as_millis() as u64
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for what a client says next, between two lines; nothing if another client was given the seat meanwhile. What is said
    /// in the same moment is as lost as what is still on its way then.
    pub(super) async fn unless_given<T>(&self, said: impl Future<Output = T>) -> Option<T> {
        self.rest(Instant::now());
        let said = tokio::select! {
            said = said => said,
            () = self.seat.given.notified() => return None,
        };
        self.wake().then_some(said)
    }

    fn rest(&self, now: Instant) {
        let now = self.seats.millis(now);
        self.seat.silent.store(now, Ordering::Relaxed);
    }

    /// Whether the seat is still the client's, which nobody takes now.
    fn wake(&self) -> bool {
        self.seat.silent.swap(BUSY, Ordering::Relaxed) != GIVEN
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_millis(10);

    fn two() -> (Arc<Seats>, impl Fn(u64) -> Instant) {
        let seats = Arc::new(Seats::new(2, MOST));
        let begun = seats.begun;
        (seats, move |millis| begun + Duration::from_millis(millis))
    }

    /// The seat of a client that is silent from then on.
    fn silent(seats: &Arc<Seats>, now: Instant) -> Option<Place> {
        let place = seats.take(now)?;
        place.rest(now);
        Some(place)
    }

    #[test]
    fn a_client_that_comes_to_full_seats_gets_that_of_who_was_silent_for_longest() {
        let (seats, at) = two();
        let first = silent(&seats, at(0)).expect("a seat");
        let second = silent(&seats, at(1)).expect("a seat");
        assert!(seats.take(at(10)).is_none(), "nobody was silent too long");
        let third = seats.take(at(11)).expect("the first one's");
        assert!(!first.wake());
        assert!(second.wake());
        assert!(seats.take(at(1_000)).is_none(), "nobody is silent");
        third.rest(at(1_000));
        second.rest(at(1_001));
        let _fourth = seats.take(at(1_011)).expect("the third one's");
        assert!(!third.wake());
        assert!(second.wake());
    }

    #[test]
    fn a_seat_is_free_when_its_client_goes_and_not_when_one_goes_that_had_lost_it() {
        let (seats, at) = two();
        let first = silent(&seats, at(0)).expect("a seat");
        let _second = silent(&seats, at(5)).expect("a seat");
        let third = seats.take(at(11)).expect("the first one's");
        drop(first);
        assert!(seats.take(at(12)).is_none());
        drop(third);
        assert!(seats.take(at(12)).is_some());
    }
}
