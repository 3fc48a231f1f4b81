//! Which stages have to be public.
//!
//! What goes into a pipeline and what answers calls are said by the public type `Pipeline` in terms of the stages that take and
//! give it. A stage that only its module sees cannot stand there; rustc would say so of code that nobody has written.

use pipewright_spec::{
    model::{Model, Signature},
    plan, way,
};
use syn::Visibility;

use crate::{errors::Errors, merge::Merged, place::Place, stage::StageDef};

/// Says which stages are to be public and are not.
pub(crate) fn check(merged: &Merged, defs: &[StageDef], errors: &mut Errors) {
    let model = &merged.model;
    let def = |stage: usize| merged.functions.get(stage)?.map(|at| &defs[at]);
    let mut told = |stage: Option<usize>, what: &str| {
        if let Some(def) = stage.and_then(def).filter(|def| !is_public(def)) {
            let (name, at) = (def.name(), def.item.span());
            let message = format!("`{name}` {what}, so whoever uses the pipeline has to see it");
            errors
                .at("E_PRIVATE", at, message)
                .help(format!("write `pub fn {name}`"));
        }
    };
    let mut readers = (0..model.stages.len()).filter(|&stage| reads_input(model, stage));
    // One that is public says for all what goes in.
    if !readers
        .clone()
        .any(|stage| def(stage).is_none_or(is_public))
    {
        told(readers.next(), "reads `input`");
    }
    if let Some(reply) = &model.options.reply {
        told(model.find(&reply.value.stage.text), "answers calls");
        told(last_to_fail(model), "is the last whose errors callers see");
    }
}

/// Can everybody see this stage?
pub(crate) fn is_public(def: &StageDef) -> bool {
    matches!(def.item.vis, Visibility::Public(_))
}

fn reads_input(model: &Model<Place>, stage: usize) -> bool {
    model.stages[stage].from.iter().any(|door| door.is_input())
}

/// The last stage on the way of calls that can fail: its error is what a call fails with.
fn last_to_fail(model: &Model<Place>) -> Option<usize> {
    let passes = way(model);
    let goes_on = |name: &str| {
        let on_the_way = model
            .stages
            .iter()
            .zip(&passes)
            .filter(|(_, passes)| **passes);
        let mut doors = on_the_way.flat_map(|(reader, _)| &reader.from);
        doors.any(|door| door.is_err() && door.stage.text == name)
    };
    let fails = |stage: &usize| {
        let (passes, stage) = (passes[*stage], &model.stages[*stage]);
        let fallible = stage.signature.as_ref().is_some_and(Signature::fallible);
        passes && fallible && !goes_on(&stage.name.text)
    };
    plan(model).order.into_iter().rev().find(fails)
}
