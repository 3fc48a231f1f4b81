//! The rules of a pipeline: each is one small function with a code and a test.
//!
//! Rules that look at names come first. Where a name is wrong, the rules that follow the graph would
//! report its consequences, so they wait until the names are right.

mod acks;
mod ahead;
mod errors;
mod futures;
mod graph;
mod guards;
mod keys;
mod load;
mod names;
mod pinned;
mod reply;

#[cfg(test)]
mod tests;

pub(crate) use keys::{
    Need, batch_need, budget_need, cores_need, idle_need, in_flight_need, linger_need, needs,
    panic_misfit, queue_need,
};
pub(crate) use names::{is_rust_name, is_variant_name};
pub use pinned::MAX_THREADS;
pub use pinned::realtime_misfit;
pub(crate) use pinned::too_many;

use crate::model::{Model, Place};
use crate::report::Problems;

/// A pipeline has at most so many stages.
pub const MAX_STAGES: usize = 256;

/// A stage reads at most so many outputs.
pub const MAX_INPUTS: usize = 256;

/// All stages together read at most so many outputs.
pub const MAX_READS: usize = 1024;

/// A batch reaches a stage by at most so many paths.
pub const MAX_PATHS: usize = 64;

type Rule<P> = fn(&Model<P>, &mut Problems<P>);

/// Everything that is wrong with a pipeline, by the rules that need no types.
///
/// A rule that needs to know what a function looks like is left out where that is not known.
pub fn check<P: Place>(model: &Model<P>) -> Problems<P> {
    let mut problems = Problems::new();
    graph::size(model, &mut problems);
    if !problems.is_empty() {
        return problems;
    }
    apply(&name_rules(), model, &mut problems);
    let names_are_right = problems.is_empty();
    apply(&key_rules(), model, &mut problems);
    if names_are_right {
        apply(&graph_rules(), model, &mut problems);
    }
    if problems.is_empty() {
        graph::paths(model, &mut problems);
    }
    problems
}

/// What is wrong with the number of the stages and with their names, whatever they do. Until this is right, nothing is to be
/// said by these names.
pub fn check_names<P: Place>(model: &Model<P>) -> Problems<P> {
    let mut problems = Problems::new();
    apply(&[graph::size, names::reserved], model, &mut problems);
    problems
}

fn apply<P: Place>(rules: &[Rule<P>], model: &Model<P>, problems: &mut Problems<P>) {
    rules.iter().for_each(|rule| rule(model, problems));
}

fn name_rules<P: Place>() -> [Rule<P>; 6] {
    [
        names::reserved,
        names::duplicate,
        names::unknown,
        names::listed_twice,
        names::input_has_no_doors,
        graph::source_reads,
    ]
}

fn key_rules<P: Place>() -> [Rule<P>; 25] {
    [
        keys::kind,
        keys::conflict,
        keys::state,
        keys::shape_of_function,
        keys::behind_input,
        load::one_input,
        load::at_ring,
        load::shed,
        pinned::needs_cores,
        pinned::threads,
        pinned::one_thread,
        pinned::many_threads,
        keys::panic,
        keys::panic_letters,
        acks::polled,
        acks::followed,
        acks::given_back,
        keys::cores,
        futures::shape,
        guards::shape,
        guards::own_threads,
        guards::numbers,
        guards::refusals,
        guards::diversions,
        guards::backoff,
    ]
}

fn graph_rules<P: Place>() -> [Rule<P>; 12] {
    [
        graph::no_input,
        graph::no_output,
        graph::from_sink,
        graph::cycle,
        graph::unread,
        graph::mixed_doors,
        ahead::order,
        errors::no_err_door,
        errors::unhandled,
        errors::handled_twice,
        errors::cannot_fail,
        reply::reply,
    ]
}
