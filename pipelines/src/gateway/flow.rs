//! The pipeline.

use pipewright::pipeline;

/// Decides who may do what.
#[pipeline("gateway.ron", env = Env)]
pub mod gateway {
    use crate::gateway::{
        env::Env,
        request::validate,
        stages::{ask, audit, evaluate, fill, limit, lookup, refuse, reply, unanswered},
    };
}
