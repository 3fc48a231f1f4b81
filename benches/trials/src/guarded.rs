//! The same events, guarded against overload: what has waited in the input for too long is shed, and what comes to its price too late
//! is an error, of which a breaker opens.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use std::{fmt, time::Duration};

use pipewright::{Builder, Classify, ErrorClass, pipeline};

use crate::{
    piped::Flow,
    work::{Env, Event, Service},
};

/// A price that comes later is of no use.
const LATE: Duration = Duration::from_millis(10);

/// It came too late.
#[derive(Clone, Copy, Debug)]
pub struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the price came too late")
    }
}

impl Classify for Late {
    fn class(&self) -> ErrorClass {
        ErrorClass::Timeout
    }
}

#[pipeline(env = Env)]
pub mod flow {
    use super::*;

    #[stage(from = input, queue = "16Ki", shed(target = "20ms", interval = "100ms"))]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn parse(mut event: Event, env: &Env) -> Event {
        env.parse(&mut event);
        event
    }

    #[stage(from = parse)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn enrich(mut event: Event, env: &Env) -> Event {
        env.enrich(&mut event);
        event
    }

    #[stage(from = enrich, breaker(failure_pct = 50, open = "100ms", probes = 10, on_open = drop))]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn price(mut event: Event, env: &Env) -> Result<Event, Late> {
        if event.stamped().intended().elapsed() > LATE {
            return Err(Late);
        }
        env.price(&mut event);
        Ok(event)
    }

    /// Nobody does anything with what is late; the run counts it.
    #[sink(from = price::Err, order = any)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn late(_: Late) {}

    #[stage(from = price, key = |event| event.service)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn apply(mut event: Event, env: &Env, service: &mut Service) -> Event {
        env.apply(&mut event, service);
        event
    }

    #[sink(from = apply, order = any)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn deliver(mut event: Event, env: &Env) {
        env.deliver(&mut event);
    }
}

/// Which pipeline is measured.
pub(crate) struct Guarded;

impl Flow for Guarded {
    type Pipeline = flow::Pipeline;

    fn pipeline() -> Builder<flow::Pipeline> {
        flow::pipeline()
    }
}
