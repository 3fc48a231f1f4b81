//! Decides who may do what: a policy gateway with cache and policies in process.
//!
//! Requests (subject, action, resource, tenant, context) come by call, over HTTP or from a file; each gets an answer, allow or deny,
//! with a reason. Policies are Rego, evaluated by an engine of each worker; what was decided is kept; an optional remote decision
//! point is asked behind a breaker. No answer is given that is not in the audit.

pub mod audit;
pub mod cache;
pub mod classes;
pub mod cli;
pub mod clock;
pub mod env;
mod files;
pub mod flow;
pub mod lanes;
pub mod lines;
pub mod pdp;
mod place;
pub mod policy;
pub mod reload;
pub mod remote;
pub mod request;
pub mod run;
pub mod serve;
pub mod stages;
pub mod summary;
pub mod types;

#[cfg(test)]
mod tests;
