//! Rules about `reply`: a call has one answer.

use super::names::no_stage;
use crate::model::{Model, Place};
use crate::plan;
use crate::report::{Problem, Problems};

/// The stage that answers is reached from `input`, and no stage on the way makes many of one.
pub(super) fn reply<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let Some(reply) = &model.options.reply else {
        return;
    };
    let (name, place) = (&reply.value.stage.text, &reply.value.stage.place);
    let Some(end) = model.find(name) else {
        problems.push(no_stage("E_REPLY_UNKNOWN", model, name, place.clone()));
        return;
    };
    let between = between_input_and(model, end);
    if between.is_empty() {
        let message = format!("`{name}` is not reached from `input`");
        problems.push(
            Problem::new("E_REPLY_UNREACHED", message, place.clone())
                .help("let a stage on the way to it read `input`, or name another stage"),
        );
    }
    for stage in between.into_iter().map(|n| &model.stages[n]) {
        if stage
            .signature
            .is_some_and(|signature| signature.one_to_many())
        {
            let many = &stage.name.text;
            let message = format!("`{many}` may send many items, so a call has no single answer");
            problems.push(
                Problem::new("E_REPLY_MANY", message, place.clone())
                    .help(format!("name a stage before `{many}`"))
                    .related(stage.name.place.clone(), "one to many"),
            );
        }
    }
}

/// The stages on paths from the push input to a stage, itself included; empty if there is no path.
fn between_input_and<P: Place>(model: &Model<P>, end: usize) -> Vec<usize> {
    let order = plan::topological(model);
    let mut fed = vec![false; model.stages.len()];
    for &stage in &order {
        fed[stage] = model.stages[stage].from.iter().any(|door| {
            door.is_input()
                || model
                    .find(&door.stage.text)
                    .is_some_and(|producer| fed[producer])
        });
    }
    let mut needed = vec![false; model.stages.len()];
    needed[end] = true;
    for &stage in order.iter().rev().filter(|_| fed[end]) {
        if needed[stage] {
            let producers = model.stages[stage]
                .from
                .iter()
                .filter_map(|door| model.find(&door.stage.text));
            producers.for_each(|producer| needed[producer] = true);
        }
    }
    order
        .into_iter()
        .filter(|&stage| needed[stage] && fed[stage])
        .collect()
}
