//! Rules about errors: every one that can happen is handled, and just once.

use crate::model::{Door, Model, Place, Stage};
use crate::report::{Problem, Problems};

/// Only a stage that can fail has an `Err` door.
pub(super) fn no_err_door<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for door in model
        .stages
        .iter()
        .flat_map(|stage| &stage.from)
        .filter(|door| door.is_err())
    {
        let producer = model.find(&door.stage.text).map(|n| &model.stages[n]);
        if producer.is_some_and(|stage| fallible(stage) == Some(false)) {
            let name = &door.stage.text;
            let place = door
                .door
                .as_ref()
                .map_or(&door.stage.place, |name| &name.place);
            problems.push(
                Problem::new(
                    "E_NO_ERR_DOOR",
                    format!("`{name}` cannot fail, so it has no `Err` door"),
                    place.clone(),
                )
                .help(format!(
                    "let `{name}` return a `Result`, or do not read `{name}::Err`"
                )),
            );
        }
    }
}

/// An error that can happen is read, or said to be dropped or to stop the run.
pub(super) fn unhandled<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model
        .stages
        .iter()
        .filter(|stage| fallible(stage) == Some(true))
    {
        let name = &stage.name.text;
        if stage.options.on_error.is_none() && err_reader(model, stage).is_none() {
            problems.push(
                Problem::new(
                    "E_UNHANDLED_ERROR",
                    format!("`{name}` can fail, and nothing reads `{name}::Err`"),
                    stage.name.place.clone(),
                )
                .help(format!("add a sink with `from = {name}::Err`, or give `on_error = stop` or `on_error = drop`")),
            );
        }
    }
}

/// An error is not read and dropped at the same time.
pub(super) fn handled_twice<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(on_error) = &stage.options.on_error else {
            continue;
        };
        if let Some((reader, door)) = err_reader(model, stage) {
            let message = format!(
                "`on_error` has no effect, as `{}` reads `{}`",
                reader.name.text,
                door.path()
            );
            problems.push(
                Problem::new("E_HANDLED_TWICE", message, on_error.key.clone())
                    .help("keep one")
                    .related(door.stage.place.clone(), "read here"),
            );
        }
    }
}

/// `on_error` is for stages that can fail.
pub(super) fn cannot_fail<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model
        .stages
        .iter()
        .filter(|stage| fallible(stage) == Some(false))
    {
        if let Some(on_error) = &stage.options.on_error {
            let message = format!(
                "`{}` cannot fail, so `on_error` has no effect",
                stage.name.text
            );
            problems.push(
                Problem::new("E_CANNOT_FAIL", message, on_error.key.clone())
                    .help("remove it, or let the function return a `Result`"),
            );
        }
    }
}

fn fallible<P: Place>(stage: &Stage<P>) -> Option<bool> {
    stage.signature.map(|signature| signature.fallible())
}

fn err_reader<'a, P: Place>(
    model: &'a Model<P>,
    stage: &Stage<P>,
) -> Option<(&'a Stage<P>, &'a Door<P>)> {
    model.stages.iter().find_map(|reader| {
        let door = reader
            .from
            .iter()
            .find(|door| door.is_err() && door.stage.text == stage.name.text)?;
        Some((reader, door))
    })
}
