//! Rules about guards: what they stand before, and how their numbers fit.

use crate::guards::{breaker_misfit, retry_misfits};
use crate::model::{DIVERTED, Model, Place, Stage};
use crate::options::{Key, Value, info};
use crate::report::{Problem, Problems};

/// The keys that guard a stage.
const GUARDS: [Key; 5] = [
    Key::Timeout,
    Key::Rate,
    Key::Retry,
    Key::Breaker,
    Key::Workers,
];

/// A guarded stage is called by the workers of the pool, in a loop that can stop anywhere.
pub(super) fn shape<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        for key in GUARDS {
            if let (Some(place), Some((what, help))) =
                (stage.options.given(key), misfit(stage, key))
            {
                let name = &stage.name.text;
                let message = format!("`{}` of `{name}` needs {what}", info(key).name);
                problems.push(Problem::new("E_GUARD", message, place.clone()).help(help));
            }
        }
    }
}

/// What a stage lacks for a guard, and what to do.
fn misfit<P: Place>(stage: &Stage<P>, key: Key) -> Option<(&'static str, &'static str)> {
    let options = &stage.options;
    [
        (
            stage.is_async() && key == Key::Workers,
            "a function that holds a worker while it waits",
            "write `in_flight`, which is how many futures are under way at once",
        ),
        (
            options.cores.is_some(),
            "the workers of the pool, which go on with others while its items wait",
            match key {
                Key::Workers => "remove it; with `cores` there is a thread for each core",
                _ => "remove `cores`, or put the call that can fail on a stage without",
            },
        ),
        (
            options.simd.is_some(),
            "a loop that can stop at any item",
            "remove `simd`, or put the call that can fail on a stage without",
        ),
        (
            options.prefetch.is_some(),
            "a loop that can stop at any item",
            "put `prefetch` on a stage of its own in front",
        ),
    ]
    .into_iter()
    .find_map(|(wrong, what, help)| wrong.then_some((what, help)))
}

/// The numbers of a breaker fit each other.
pub(super) fn numbers<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(given) = &stage.options.breaker else {
            continue;
        };
        let field = |name: &str| given.value.find(name);
        let Some((name, why, help)) = breaker_misfit(|name| field(name)?.value.as_field()) else {
            continue;
        };
        let place = field(name).map_or(&given.key, |field| &field.place);
        let message = format!("`{name}` of the breaker of `{}`: {why}", stage.name.text);
        problems.push(Problem::new("E_BREAKER", message, place.clone()).help(help));
    }
}

/// A pause is no longer than the longest.
pub(super) fn backoff<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(given) = &stage.options.retry else {
            continue;
        };
        let field = |name: &str| given.value.find(name);
        if retry_misfits(|name| field(name)?.value.as_field()) {
            let place = field("max_backoff")
                .or(field("backoff"))
                .map_or(&given.key, |field| &field.place);
            let message = format!(
                "the longest pause of `{}` is shorter than the first",
                stage.name.text
            );
            problems.push(
                Problem::new("E_RETRY", message, place.clone())
                    .help("let `max_backoff` be at least `backoff`"),
            );
        }
    }
}

/// What is diverted is read by somebody.
pub(super) fn diversions<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model.stages.iter().filter(|stage| stage.diverts()) {
        let name = &stage.name.text;
        let mut doors = model.stages.iter().flat_map(|reader| &reader.from);
        let is_read = doors.any(|door| {
            let side = door.door.as_ref().is_some_and(|door| door.text == DIVERTED);
            side && door.stage.text == *name
        });
        let breaker = stage.options.breaker.as_ref();
        let field = breaker.and_then(|given| given.value.find("on_open"));
        if let (false, Some(field)) = (is_read, field) {
            let message = format!(
                "nothing reads `{name}::{DIVERTED}`, where items go while the breaker is open"
            );
            problems.push(
                Problem::new("E_GUARD", message, field.place.clone()).help(format!(
                    "add a stage or sink with `from = {name}::{DIVERTED}`, which takes what `{name}` takes"
                )),
            );
        }
    }
}

/// What does not wait is handed to somebody.
pub(super) fn refusals<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let on_error = stage.options.on_error.as_ref();
        let breaker = stage.options.breaker.as_ref();
        let (Some(on_error), Some(breaker)) = (on_error, breaker) else {
            continue;
        };
        let Some(field) = breaker.value.find("on_open") else {
            continue;
        };
        if matches!(field.value, Value::Word("dead_letter")) {
            let message = format!(
                "nothing reads `{}::Err`, where items go while the breaker is open",
                stage.name.text
            );
            problems.push(
                Problem::new("E_GUARD", message, field.place.clone())
                    .help(format!("add a sink with `from = {}::Err` in the place of `on_error`, or write `on_open = drop`", stage.name.text))
                    .related(on_error.key.clone(), "errors end here"),
            );
        }
    }
}
