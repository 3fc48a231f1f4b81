//! Rules about guards: what they stand before, and how their numbers fit.

use crate::guards::{breaker_misfit, retry_misfits};
use crate::model::{DIVERTED, Model, Place};
use crate::options::{Key, Value, info};
use crate::report::{Problem, Problems};

/// `workers` bounds what calls at once, which is known otherwise of futures and of threads.
pub(super) fn shape<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(workers) = &stage.options.workers else {
            continue;
        };
        let name = &stage.name.text;
        let (needs, help) = if stage.is_async() {
            let needs = "a function that holds a worker while it waits";
            let help = "write `in_flight`, which is how many futures are under way at once";
            (needs.to_owned(), help)
        } else if let Some(cores) = &stage.options.cores
            && workers.value as usize >= cores.value.len()
        {
            let threads = cores.value.len();
            let plural = if threads == 1 { "thread" } else { "threads" };
            let needs =
                format!("more cores than that, because nobody calls it but its {threads} {plural}");
            (needs, "remove it, or name more cores")
        } else {
            continue;
        };
        let message = format!("`{}` of `{name}` needs {needs}", info(Key::Workers).name);
        problems.push(Problem::new("E_GUARD", message, workers.key.clone()).help(help));
    }
}

/// A guarded stage on threads of its own has them to itself, because its batches wait in a loop of its own.
pub(super) fn own_threads<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(cores) = &stage.options.cores else {
            continue;
        };
        let before = stage.from.iter().filter_map(|door| {
            let before = &model.stages[model.find(&door.stage.text)?];
            let theirs = before.options.cores.as_ref()?;
            (theirs.value == cores.value).then_some((before, theirs))
        });
        let (name, own) = (&stage.name.text, stage.is_guarded());
        for (before, theirs) in before {
            let other = &before.name.text;
            let guarded = match (own, before.is_guarded()) {
                (true, _) => name,
                (false, true) => other,
                (false, false) => continue,
            };
            let message = format!(
                "`{name}` names the cores of `{other}`, and `{guarded}` is guarded, so that it has its threads to itself"
            );
            let help = format!("name other cores for one of them, or remove `cores` from `{name}`");
            let problem = Problem::new("E_GUARD", message, cores.place.clone()).help(help);
            problems.push(problem.related(theirs.place.clone(), "the same cores"));
            break;
        }
    }
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
