//! Who gets an event: by its kind, and by what services have subscribed to.

use std::sync::Arc;

use pipewright::{Emit, stage};

use super::{
    env::Env,
    service::{Filter, Service},
    types::Event,
};

/// The subscriptions, by kind: an event is compared only with the filters of services that want its kind.
#[derive(Debug)]
pub struct Routes {
    by_kind: [Vec<(u32, Filter)>; 6],
}

impl Routes {
    /// Of these services, whose numbers are their places.
    pub fn new(services: &[Service]) -> Self {
        let by_kind = super::types::Kind::ALL.map(|kind| {
            let wanting = services.iter().enumerate();
            let wanting = wanting.filter(|(_, service)| service.filter.wants_kind(kind));
            wanting
                .map(|(at, service)| (at as u32, service.filter.clone()))
                .collect()
        });
        Self { by_kind }
    }

    /// The services that want an event.
    pub fn of(&self, event: &Event) -> impl Iterator<Item = u32> {
        let wanting = self.by_kind[event.kind as usize].iter();
        wanting
            .filter(|(_, filter)| filter.wants(event))
            .map(|(service, _)| *service)
    }
}

/// An event for a service.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The number of the service.
    pub service: u32,
    /// What it gets.
    pub event: Arc<Event>,
}

/// What becomes of an event; the variants are the doors of `route`.
#[derive(Debug)]
pub enum Routed {
    /// A service gets it.
    To(Delivery),
    /// Nobody wants it.
    Nobody(Arc<Event>),
}

/// One delivery for each service that wants the event.
#[stage]
pub fn route(event: Arc<Event>, env: &Env, out: &mut Emit<Routed>) {
    let before = out.len();
    for service in env.routes.of(&event) {
        let event = Arc::clone(&event);
        out.send(Routed::To(Delivery { service, event }));
    }
    if out.len() == before {
        out.send(Routed::Nobody(event));
    }
}
