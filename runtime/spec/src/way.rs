//! The way of a call: the stages between `input` and the one that answers.

use crate::model::{Door, Model, Place};
use crate::plan;

/// For each stage, is it on a path from the push input to the stage that `reply` names, itself included? None is if there is no
/// such path.
pub fn way<P: Place>(model: &Model<P>) -> Vec<bool> {
    let end = model
        .options
        .reply
        .as_ref()
        .and_then(|reply| model.find(&reply.value.stage.text));
    let Some(end) = end else {
        return vec![false; model.stages.len()];
    };
    let order = plan::topological(model);
    let producer = |door: &Door<P>| model.find(&door.stage.text);
    let mut fed = vec![false; model.stages.len()];
    for &stage in &order {
        let mut doors = model.stages[stage].from.iter();
        fed[stage] = doors.any(|door| door.is_input() || producer(door).is_some_and(|at| fed[at]));
    }
    let mut leads = vec![false; model.stages.len()];
    leads[end] = fed[end];
    for &stage in order.iter().rev().filter(|stage| fed[**stage]) {
        if leads[stage] {
            let producers = model.stages[stage].from.iter().filter_map(producer);
            producers
                .filter(|at| fed[*at])
                .for_each(|at| leads[at] = true);
        }
    }
    leads
}
