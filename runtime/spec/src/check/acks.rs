//! `acks`: everything behind such a source is known to be done, and nothing that is lost is taken for done.

use super::keys::needs;
use crate::model::{Model, Place, StateKind};
use crate::options::{Key, OnPanic};
use crate::report::{Problem, Problems};

/// Keys with which items wait in a stage, away from their batch.
const WAITING: [Key; 4] = [Key::InFlight, Key::Timeout, Key::Retry, Key::Breaker];

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

/// Items on their way through pinned threads, or that wait away from their batch, are not followed; and a panic is not survived: the
/// item is lost.
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
        if stage.signature.is_some_and(|signature| signature.is_async) {
            let stage = &stage.name;
            let message = format!(
                "`{name}` is acknowledged, and items that wait in the `async fn` of `{}` are not followed",
                stage.text
            );
            push(
                &stage.place,
                "E_ACKS_WAIT",
                message,
                "write a plain `fn` that waits, or remove `acks`",
            );
        }
        for key in WAITING {
            if let Some(place) = stage.options.given(key) {
                let message = format!(
                    "`{name}` is acknowledged, and items that wait in `{}` for its `{}` are not followed",
                    stage.name.text,
                    crate::options::info(key).name
                );
                push(place, "E_ACKS_WAIT", message, "remove it, or remove `acks`");
            }
        }
        let on_panic = stage.options.on_panic.as_ref();
        if let Some(on_panic) = on_panic.filter(|given| given.value != OnPanic::Stop) {
            let message = format!(
                "`{name}` is acknowledged, and an item that panics in `{}` would be lost",
                stage.name.text
            );
            let help = "write `on_panic = stop`, which is what happens without it: the items come again with the next run";
            push(&on_panic.place, "E_ACKS_PANIC", message, help);
        }
    }
}
