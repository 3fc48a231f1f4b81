//! `acks`: everything behind such a source is known to be done, and nothing that is lost is taken for done.

use std::collections::HashMap;

use super::keys::needs;
use crate::model::{INPUT, Model, Place, Stage, StateKind};
use crate::options::{Key, OnPanic, Value};
use crate::report::{Problem, Problems};

/// The source is polled and has a state, which says where it is.
pub(super) fn polled<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let (Some(place), Some(signature)) = (&stage.options.rust.acks, &stage.signature) else {
            continue;
        };
        if stage.is_source() && !(signature.is_poll() && signature.state != StateKind::None) {
            let what = "a function that is polled and has a state";
            let message = needs(Key::Acks, what, &stage.name.text);
            problems.push(Problem::new("E_NEEDS", message, place.clone()).help(
                "write `fn(&mut S, &mut Emit<T>) -> Flow`, where `S: Acknowledge`, or remove it",
            ));
        }
    }
}

/// Items on their way through pinned threads are not followed; a panic is not survived, because the item is lost; and
/// nothing may be dropped.
pub(super) fn followed<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let acked = |stage: &&crate::model::Stage<P>| stage.options.rust.acks.is_some();
    let Some(source) = model.stages.iter().find(acked) else {
        return;
    };
    let (name, place) = (&source.name.text, &source.options.rust.acks);
    for stage in &model.stages {
        let mut push = |key: &P, code, message: String, help: &str| {
            let mut problem = Problem::new(code, message, key.clone()).help(help);
            if let Some(place) = place {
                problem = problem.related(place.clone(), "acknowledged here");
            }
            problems.push(problem);
        };
        if let Some(cores) = &stage.options.cores {
            let message = format!(
                "`{name}` is acknowledged, and items are not followed through the pinned threads of `{}`",
                stage.name.text
            );
            push(
                &cores.key,
                "E_ACKS_PINNED",
                message,
                "remove `cores`, or remove `acks`",
            );
        }
        let breaker = stage.options.breaker.as_ref();
        let on_open = breaker.and_then(|given| given.value.find("on_open"));
        if let Some(field) = on_open.filter(|field| matches!(field.value, Value::Word("drop"))) {
            let message = format!(
                "`{name}` is acknowledged, and the breaker of `{}` would drop its items",
                stage.name.text
            );
            let help = "let them wait (`on_open = hold`), or read the errors of the stage and write `on_open = dead_letter`";
            push(&field.place, "E_ACKS_DROP", message, help);
        }
        let overflow = stage.options.overflow.as_ref();
        if let Some(overflow) = overflow.filter(|given| given.value.is_lossy()) {
            let message = format!(
                "`{name}` is acknowledged, and a full queue in front of `{}` would drop items",
                stage.name.text
            );
            let help = "let who sends wait (`overflow = block`) or take the item back (`reject`), or remove `acks`";
            push(&overflow.place, "E_ACKS_DROP", message, help);
        }
        if let Some(shed) = &stage.options.shed {
            let message = format!(
                "`{name}` is acknowledged, and `{}` would drop items that wait for too long",
                stage.name.text
            );
            let help = "remove `shed`, or remove `acks`";
            push(&shed.key, "E_ACKS_DROP", message, help);
        }
        let on_panic = stage.options.on_panic.as_ref();
        let loses = |on_panic: OnPanic| !matches!(on_panic, OnPanic::Stop | OnPanic::DeadLetter);
        if let Some(on_panic) = on_panic.filter(|given| loses(given.value)) {
            let message = format!(
                "`{name}` is acknowledged, and an item that panics in `{}` would be lost",
                stage.name.text
            );
            let help = "write `on_panic = stop`, which is what happens without it: the items come again with the next run";
            push(&on_panic.place, "E_ACKS_PANIC", message, help);
        }
    }
}

/// What a stage gives back comes from sources that can give it again.
pub(super) fn given_back<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    if !model.stages.iter().any(Stage::gives_back) {
        return;
    }
    let forgetful = forgetful(model);
    for (stage, source) in model.stages.iter().zip(forgetful) {
        let breaker = stage.options.breaker.as_ref();
        let on_open = breaker.and_then(|given| given.value.find("on_open"));
        let (true, Some(field), Some(source)) = (stage.gives_back(), on_open, source) else {
            continue;
        };
        let name = &stage.name.text;
        let message = format!(
            "`on_open = nack` of `{name}` gives items back to `{source}`, which cannot give them again"
        );
        let instead =
            "write `on_open = hold`, which keeps them until the breaker lets them through";
        let help = match source {
            INPUT => format!("{instead}, or read a source with `acks`"),
            _ => format!(
                "{instead}, or let `{source}` be polled, with `acks` and a state that is `Rewind`"
            ),
        };
        problems.push(Problem::new("E_GUARD", message, field.place.clone()).help(help));
    }
}

/// For each stage a source without `acks` from which it has items, if there is one.
fn forgetful<P: Place>(model: &Model<P>) -> Vec<Option<&str>> {
    let stages = &model.stages;
    let at: HashMap<&str, usize> = stages
        .iter()
        .enumerate()
        .map(|(at, stage)| (stage.name.text.as_str(), at))
        .collect();
    let (mut readers, mut found) = (vec![Vec::new(); stages.len()], vec![None; stages.len()]);
    let mut open = Vec::new();
    for (reader, stage) in stages.iter().enumerate() {
        for door in &stage.from {
            match at.get(door.stage.text.as_str()) {
                _ if door.is_input() => found[reader] = Some(INPUT),
                Some(producer) => readers[*producer].push(reader),
                None => {}
            }
        }
        if stage.is_source() && stage.options.rust.acks.is_none() {
            found[reader] = Some(stage.name.text.as_str());
        }
        open.extend(found[reader].map(|_| reader));
    }
    while let Some(stage) = open.pop() {
        for &reader in &readers[stage] {
            if found[reader].is_none() {
                found[reader] = found[stage];
                open.push(reader);
            }
        }
    }
    found
}
