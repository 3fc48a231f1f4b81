//! Hands events to the services, and counts those that nobody wants or that were rejected.

use std::sync::Arc;

use pipewright::{Priority, SendBatchError, sink};

use super::{
    env::Env,
    reject::{Reason, Reject},
    route::Delivery,
    types::{Event, Severity},
};

/// Puts events into the queues of their services. What a full queue means says the service.
///
/// They are in no order: events with different keys overtake each other behind [`dedup`](super::dedup), and a queue keeps the order of
/// what one worker puts into it, and not of what several do. Each event has its place in its source.
///
/// What a batch has for a service goes into its queue at once, so that its thread is woken once for all of it.
#[sink]
pub fn deliver(deliveries: &[Delivery], env: &Env, piles: &mut Piles) -> Vec<Result<(), Reject>> {
    piles.make_room(env.inboxes.len());
    for (place, delivery) in deliveries.iter().enumerate() {
        piles.put(place, delivery, &env.inboxes);
    }
    let mut results: Vec<_> = deliveries.iter().map(|_| Ok(())).collect();
    piles.push(&env.inboxes, |place, reject| results[place] = Err(reject));
    results
}

/// How long batches may take and how much of them comes here at once, as a tuning file says it, where there are more services than
/// the topology's numbers are for.
///
/// What a batch has for a service wakes the service's thread once, and a line is for a share of the services: the more there are,
/// the larger a batch has to be for each of them to have some of it. So with more than a hundred both numbers grow with the services.
/// Not with fewer: near the most that the processors can do an event waits for a whole batch. A batch is that large only when so
/// much waits.
pub(super) fn pace(services: usize) -> Option<String> {
    if services <= 100 {
        return None;
    }
    let (quantum_us, batch) = (services * 50, (services * 82).min(65_536));
    Some(format!(
        r#"(quantum: "{quantum_us}us", stages: {{"deliver": (batch: {batch})}})"#
    ))
}

/// The events of a batch, by service and by how much they matter. It is kept from batch to batch for its memory.
#[derive(Debug, Default)]
pub struct Piles {
    /// As many for each service as there are priorities.
    piles: Vec<Pile>,
    /// Those that have something.
    filled: Vec<(u32, Priority)>,
}

/// What a service gets at once, and where that stands in the batch.
#[derive(Debug, Default)]
struct Pile {
    events: Vec<Arc<Event>>,
    places: Vec<usize>,
}

impl Piles {
    fn make_room(&mut self, services: usize) {
        self.piles
            .resize_with(services * Priority::NAMES.len(), Pile::default);
    }

    fn put(&mut self, place: usize, delivery: &Delivery, inboxes: &[Inbox]) {
        let Delivery { service, event } = delivery;
        let priority = inboxes[*service as usize].priority_of(event);
        let pile = &mut self.piles[pile_of(*service, priority)];
        if pile.events.is_empty() {
            self.filled.push((*service, priority));
        }
        pile.events.push(Arc::clone(event));
        pile.places.push(place);
    }

    /// Gives the services what is there for them, and tells which places were refused.
    fn push(&mut self, inboxes: &[Inbox], mut refuse: impl FnMut(usize, Reject)) {
        for (service, priority) in self.filled.drain(..) {
            let inbox = &inboxes[service as usize];
            let Pile { events, places } = &mut self.piles[pile_of(service, priority)];
            if let Err(refused) = (inbox.push)(priority, events) {
                // What was not taken are the last ones.
                let taken = places.len() - events.len();
                for (place, event) in places[taken..].iter().zip(events.drain(..)) {
                    refuse(*place, inbox.refused(&event, &refused));
                }
            }
            places.clear();
        }
    }
}

fn pile_of(service: u32, priority: Priority) -> usize {
    service as usize * Priority::NAMES.len() + priority as usize
}

/// The way into the queue of a service.
pub struct Inbox {
    name: Arc<str>,
    /// Does what matters overtake what does not?
    by_severity: bool,
    push: Push,
}

/// Moves events into the queue; those that it does not take are left.
type Push = Box<dyn Fn(Priority, &mut Vec<Arc<Event>>) -> Result<(), SendBatchError> + Send + Sync>;

impl Inbox {
    pub(super) fn new(name: Arc<str>, by_severity: bool, push: Push) -> Self {
        Self {
            name,
            by_severity,
            push,
        }
    }

    fn priority_of(&self, event: &Event) -> Priority {
        match event.severity {
            _ if !self.by_severity => Priority::Normal,
            Severity::Critical => Priority::Critical,
            Severity::Error | Severity::Warning => Priority::High,
            Severity::Info => Priority::Normal,
            Severity::Debug => Priority::Low,
        }
    }

    fn refused(&self, event: &Event, why: &SendBatchError) -> Reject {
        let name = self.name.to_string();
        let reason = match why.full {
            true => Reason::ServiceFull(name),
            false => Reason::ServiceClosed(name),
        };
        Reject::new(event.origin.clone(), reason)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("name", &self.name)
            .field("by_severity", &self.by_severity)
            .finish_non_exhaustive()
    }
}

/// The sink of what nobody wants.
#[sink]
pub fn unrouted(_: Arc<Event>, count: &mut u64) {
    *count += 1;
}

/// The sink of everything that was rejected, whatever stage did it.
#[sink]
pub fn reject(reject: Reject, env: &Env) {
    if let (Reason::ServiceClosed(_), Some(kept)) = (&reject.reason, &env.feed.positions) {
        kept.hold();
    }
    env.tally.reject(&reject);
}

#[cfg(test)]
mod tests {
    use super::pace;
    use crate::events::service;

    #[test]
    fn batches_grow_with_the_services_beyond_a_hundred_of_them() {
        let check = |services, expect: Option<&str>| {
            assert_eq!(pace(services).as_deref(), expect, "{services}");
        };
        check(0, None);
        check(100, None);
        check(
            101,
            Some(r#"(quantum: "5050us", stages: {"deliver": (batch: 8282)})"#),
        );
        check(
            service::MOST,
            Some(r#"(quantum: "50000us", stages: {"deliver": (batch: 65536)})"#),
        );
    }
}
