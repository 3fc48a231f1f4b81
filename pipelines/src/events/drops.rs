//! Services that drop events because their queues are full, as that is told while a run goes on.
//!
//! Who drops is a queue, which tells nobody; so its counts are looked at.

use std::time::{Duration, Instant};

use super::{
    notices::{Notices, Topic},
    outlet::{Outlet, Watch},
};

/// A service that goes on dropping is told of again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// The drops of all services, as far as they were told.
pub(super) struct Drops(Vec<(Watch, Told)>);

/// What was told of a service.
#[derive(Debug, Default)]
struct Told {
    events: u64,
    at: Option<Instant>,
}

impl Drops {
    pub(super) fn new(outlets: &[Outlet]) -> Self {
        let services = outlets.iter().map(Outlet::watch);
        Self(services.map(|watch| (watch, Told::default())).collect())
    }

    /// Tells of services that have dropped more than was told, and were not told of just now.
    pub(super) fn look(&mut self, notices: &Notices) {
        let now = Instant::now();
        for (watch, told) in &mut self.0 {
            if let Some(what) = told.more(watch.overflowed(), now) {
                let name = &watch.name;
                notices.tell(Topic::Dropped, || {
                    format!("service `{name}` has dropped {what}: its queue was full")
                });
            }
        }
    }
}

impl Told {
    /// What there is to tell of a service that has dropped so many.
    fn more(&mut self, dropped: u64, now: Instant) -> Option<String> {
        let more = dropped - self.events;
        let is_recent = self.at.is_some_and(|at| now < at + AGAIN);
        if more == 0 || is_recent {
            return None;
        }
        let first = self.at.replace(now).is_none();
        self.events = dropped;
        Some(match first {
            true => format!("{more} events"),
            false => format!("{more} more events"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_at_once_and_then_together_after_a_while() {
        let (begun, mut told) = (Instant::now(), Told::default());
        let mut check = |dropped, after_s, expect: Option<&str>| {
            let now = begun + Duration::from_secs(after_s);
            assert_eq!(told.more(dropped, now).as_deref(), expect, "{after_s}");
        };
        check(0, 0, None);
        check(3, 1, Some("3 events"));
        check(5, 2, None);
        check(9, 10, None);
        check(9, 11, Some("6 more events"));
        check(9, 100, None);
        check(10, 101, Some("1 more events"));
    }
}
