//! Events of six kinds for many services: parse, enrich, price, apply by service, deliver.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use pipewright::{Builder, pipeline};

use crate::{
    piped::Flow,
    work::{Env, Event, Service},
};

#[pipeline(env = Env)]
pub mod flow {
    use super::*;

    #[stage(from = input, queue = "16Ki")]
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

    #[stage(from = enrich)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn price(mut event: Event, env: &Env) -> Event {
        env.price(&mut event);
        event
    }

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
pub(crate) struct Events;

impl Flow for Events {
    type Pipeline = flow::Pipeline;

    fn pipeline() -> Builder<flow::Pipeline> {
        flow::pipeline()
    }
}
