//! Hands events to the services, and counts those that nobody wants or that were rejected.

use std::sync::Arc;

use pipewright::{Priority, SendError, sink};

use super::{
    env::Env,
    reject::{Reason, Reject},
    route::Delivery,
    types::{Event, Severity},
};

/// The number of the service.
pub fn service_of(delivery: &Delivery) -> u32 {
    delivery.service
}

/// How many events a service was given.
#[derive(Debug, Default)]
pub struct Given(u64);

/// Puts an event into the queue of its service, in the order of the source. What a full queue means says the service.
#[sink(key = service_of)]
pub fn deliver(delivery: Delivery, env: &Env, given: &mut Given) -> Result<(), Reject> {
    given.0 += 1;
    let inbox = &env.inboxes[delivery.service as usize];
    match inbox.push(delivery.event) {
        Ok(()) => Ok(()),
        Err(SendError::Full(event)) => Err(refused(&event, Reason::ServiceFull(inbox.name()))),
        Err(SendError::Closed(event)) => Err(refused(&event, Reason::ServiceClosed(inbox.name()))),
        Err(other) => {
            let event = other.into_inner();
            Err(refused(&event, Reason::ServiceClosed(inbox.name())))
        }
    }
}

fn refused(event: &Event, reason: Reason) -> Reject {
    Reject::new(event.origin.clone(), reason)
}

/// The way into the queue of a service.
pub struct Inbox {
    name: Arc<str>,
    /// Does what matters overtake what does not?
    by_severity: bool,
    push: Push,
}

type Push = Box<dyn Fn(Priority, Arc<Event>) -> Result<(), SendError<Arc<Event>>> + Send + Sync>;

impl Inbox {
    pub(super) fn new(name: Arc<str>, by_severity: bool, push: Push) -> Self {
        Self {
            name,
            by_severity,
            push,
        }
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn push(&self, event: Arc<Event>) -> Result<(), SendError<Arc<Event>>> {
        let priority = match event.severity {
            _ if !self.by_severity => Priority::Normal,
            Severity::Critical => Priority::Critical,
            Severity::Error | Severity::Warning => Priority::High,
            Severity::Info => Priority::Normal,
            Severity::Debug => Priority::Low,
        };
        (self.push)(priority, event)
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
    env.tally.reject(&reject);
}
