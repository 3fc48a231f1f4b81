//! Rules about `reply`: a call has one answer, and its item can be followed to it.

use super::names::no_stage;
use crate::model::{Door, Model, Place, Stage, Takes};
use crate::report::{Problem, Problems};
use crate::way::way;

/// The stage that answers is reached from `input`, and every item on the way stays one.
pub(super) fn reply<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let Some(reply) = &model.options.reply else {
        return;
    };
    let (name, place) = (&reply.value.stage.text, &reply.value.stage.place);
    let Some(end) = model.find(name) else {
        problems.push(no_stage("E_REPLY_UNKNOWN", model, name, place.clone()));
        return;
    };
    if let Some(problem) = not_a_stage(&reply.value, &model.stages[end], place) {
        problems.push(problem);
        return;
    }
    let way = way(model);
    if !way[end] {
        let message = format!("`{name}` is not reached from `input`");
        problems.push(
            Problem::new("E_REPLY_UNREACHED", message, place.clone())
                .help("let a stage on the way to it read `input`, or name another stage"),
        );
    }
    let stages = model.stages.iter().zip(&way);
    for stage in stages
        .filter(|(_, passes)| **passes)
        .map(|(stage, _)| stage)
    {
        one_to_one(stage, place, problems);
        one_try(stage, place, problems);
    }
    one_reader(model, &way, place, problems);
}

/// What `reply` names is a stage as a whole.
fn not_a_stage<P: Place>(reply: &Door<P>, stage: &Stage<P>, place: &P) -> Option<Problem<P>> {
    let name = &stage.name.text;
    if reply.door.is_some() {
        let message = format!(
            "`{}` is a door of `{name}`, and a stage answers",
            reply.path()
        );
        let problem = Problem::new("E_REPLY_DOOR", message, place.clone());
        return Some(problem.help(format!(
            "write `reply = {name}`, or name a stage behind the door"
        )));
    }
    stage.is_sink().then(|| {
        let message = format!("`{name}` is a sink, so it has no output that answers");
        Problem::new("E_REPLY_SINK", message, place.clone()).help(format!(
            "name a stage before it, or let `{name}` return the answer as a `#[stage]`"
        ))
    })
}

/// A stage on the way makes at most one item of one, and it is known which one.
fn one_to_one<P: Place>(stage: &Stage<P>, place: &P, problems: &mut Problems<P>) {
    let (name, Some(signature)) = (&stage.name.text, stage.signature) else {
        return;
    };
    let before = format!("name a stage before `{name}`");
    let (code, message, help, why) = if signature.one_to_many() {
        let message = format!("`{name}` may send many items, so a call has no single answer");
        ("E_REPLY_MANY", message, before, "one to many")
    } else if signature.judges() {
        let message = format!("`{name}` judges a batch, which calls cannot pass");
        let help = format!("let it take one item and return a `Result`, or {before}");
        ("E_REPLY_BATCH", message, help, "takes a batch")
    } else if signature.takes == Takes::Batch {
        let message =
            format!("`{name}` may add and drop items of its batch, so a call loses its item there");
        let help =
            format!("let it take `&mut [T]`, which keeps every item at its place, or {before}");
        ("E_REPLY_BATCH", message, help, "takes a `Batch`")
    } else {
        return;
    };
    problems.push(
        Problem::new(code, message, place.clone())
            .help(help)
            .related(stage.name.place.clone(), why),
    );
}

/// A call that failed goes back to its caller, who knows whether it is worth another try.
fn one_try<P: Place>(stage: &Stage<P>, place: &P, problems: &mut Problems<P>) {
    let Some(retry) = &stage.options.retry else {
        return;
    };
    let name = &stage.name.text;
    let message = format!("`{name}` is on the way of calls, which are answered at the first error");
    problems.push(
        Problem::new("E_REPLY_RETRY", message, retry.key.clone())
            .help("remove `retry`, and call again where the call is made")
            .related(place.clone(), "answers calls"),
    );
}

/// Of the readers of an output, one leads to the answer.
fn one_reader<P: Place>(model: &Model<P>, way: &[bool], place: &P, problems: &mut Problems<P>) {
    let mut seen: Vec<(String, &Stage<P>)> = Vec::new();
    let passed = model.stages.iter().zip(way).filter(|(_, passes)| **passes);
    for (stage, _) in passed {
        for door in &stage.from {
            let producer = model.find(&door.stage.text);
            if !door.is_input() && !producer.is_some_and(|at| way[at]) {
                continue;
            }
            let path = door.path();
            if let Some((_, other)) = seen.iter().find(|(known, _)| *known == path) {
                let (one, two) = (&other.name.text, &stage.name.text);
                let message = format!(
                    "`{path}` is read by `{one}` and `{two}`, which both lead to the answer, so a call has two"
                );
                problems.push(
                    Problem::new("E_REPLY_TWICE", message, place.clone())
                        .help("let one of them lead to it, or route with an enum")
                        .related(door.stage.place.clone(), "its second reader"),
                );
                continue;
            }
            seen.push((path, stage));
        }
    }
}
