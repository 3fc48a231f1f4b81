//! Rules about options: each key stands where it has an effect.

use crate::model::{Gives, Model, Place, Signature, Stage, StateKind};
use crate::options::{Key, KeyInfo, OnPanic, info};
use crate::report::{Problem, Problems};

/// A key stands on the kinds that the table names.
pub(super) fn kind<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(kind) = stage.kind else { continue };
        for (key, place) in stage
            .options
            .all_given()
            .filter(|(key, _)| !key.applies_to(kind))
        {
            let message = format!(
                "`{}` is for {}, and `{}` is a {kind}",
                key.name,
                kinds(key),
                stage.name.text
            );
            problems.push(Problem::new("E_WRONG_KIND", message, place.clone()).help("remove it"));
        }
    }
}

fn kinds(key: &KeyInfo) -> String {
    let plural: Vec<String> = key.on.iter().map(|kind| format!("{kind}s")).collect();
    plural.join(" and ")
}

/// A state is one for each key or one for each worker.
pub(super) fn conflict<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let rust = &stage.options.rust;
        if let (Some(key), Some(per_worker)) = (&rust.key, &rust.per_worker) {
            problems.push(
                Problem::new("E_CONFLICT", "`key` and `per_worker` exclude each other", per_worker.clone())
                    .help("keep `key` for one state for each key, or `per_worker` for one for each worker")
                    .related(key.clone(), "one state for each key"),
            );
        }
    }
}

/// `key`, `per_worker` and `state` speak about a `&mut S`.
pub(super) fn state<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (stage, signature) in known(model) {
        if signature.state != StateKind::None {
            continue;
        }
        for key in [Key::Key, Key::PerWorker, Key::State] {
            if let Some(place) = stage.options.given(key) {
                let message = needs(key, "a `&mut S` parameter", &stage.name.text);
                problems
                    .push(problem(message, place).help("add a `&mut S` parameter, or remove it"));
            }
        }
    }
}

/// `batch`, `linger`, `idle`, `in_flight` and the fault keys need a certain function.
pub(super) fn shape_of_function<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (stage, signature) in known(model) {
        let source = stage.is_source();
        for (key, fits, what, help) in function_needs(source, &signature) {
            // A key on the wrong kind of stage is reported as such.
            let on_kind = stage.kind.is_none_or(|kind| info(key).applies_to(kind));
            if let Some(place) = stage.options.given(key).filter(|_| on_kind && !fits) {
                problems.push(problem(needs(key, what, &stage.name.text), place).help(help));
            }
        }
    }
}

/// Key, whether it fits, what it needs, and what to do.
pub(crate) type Need = (Key, bool, &'static str, &'static str);

fn function_needs(source: bool, signature: &Signature) -> [Need; 10] {
    let (batch, keyed) = (signature.is_batch(), signature.state == StateKind::Keyed);
    let (poll, fallible) = (signature.is_poll(), signature.fallible());
    let result = match batch {
        false => (
            "a function that returns a `Result`",
            "let the function return a `Result`, or remove it",
        ),
        true => (
            "a function that judges its items",
            "return a verdict on each, `Vec<Result<(), E>>` or `Vec<Result<U, E>>`, or remove it",
        ),
    };
    [
        batch_need(source, batch),
        linger_need(batch, keyed),
        budget_need(batch),
        idle_need(poll),
        prefetch_need(batch, keyed),
        in_flight_need(signature.is_async),
        (
            Key::Simd,
            !batch && signature.gives != Gives::Many,
            "a function that takes one item and does its work in the call",
            "take one item, and return a value or send through `Emit`; or remove it",
        ),
        (Key::Timeout, fallible, result.0, result.1),
        (Key::Retry, fallible, result.0, result.1),
        (Key::Breaker, fallible, result.0, result.1),
    ]
}

/// A queue is in front of the push input and of pinned stages.
pub(super) fn behind_input<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model.stages.iter().filter(|stage| !stage.is_source()) {
        let input = stage.from.iter().any(|door| door.is_input());
        for key in [Key::Queue, Key::Overflow] {
            let (key, fits, what, help) =
                queue_need(key, input, super::pinned::reads_ring(model, stage));
            if let Some(place) = stage.options.given(key).filter(|_| !fits) {
                problems.push(problem(needs(key, what, &stage.name.text), place).help(help));
            }
        }
    }
}

/// `on_panic` fits the state that a panic may leave broken.
pub(super) fn panic<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (stage, signature) in known(model) {
        let Some(given) = &stage.options.on_panic else {
            continue;
        };
        let name = &stage.name.text;
        if let Some((message, help)) = panic_misfit(given.value, signature.state, name) {
            problems.push(problem(message, &given.place).help(help));
        }
    }
}

/// An item that panics leaves by an `Err` that somebody reads.
pub(super) fn panic_letters<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (stage, signature) in known(model) {
        let Some(given) = &stage.options.on_panic else {
            continue;
        };
        if given.value != OnPanic::DeadLetter {
            continue;
        }
        let name = &stage.name.text;
        if !signature.fallible() {
            let (what, help) = match signature.is_batch() {
                false => (
                    "a function that returns a `Result`",
                    "let the function return a `Result` whose error is `From<pipewright::Panicked>`, or remove it",
                ),
                true => (
                    "a function that judges its items",
                    "return a verdict on each, whose error is `From<pipewright::Panicked>`, or remove it",
                ),
            };
            let message = format!("`on_panic = dead_letter` of `{name}` needs {what}");
            problems.push(problem(message, &given.place).help(help));
            continue;
        }
        let mut doors = model.stages.iter().flat_map(|reader| &reader.from);
        if !doors.any(|door| door.is_err() && door.stage.text == *name) {
            let message = format!("nothing reads `{name}::Err`, where items go that panic");
            problems.push(problem(message, &given.place).help(format!(
                "add a sink with `from = {name}::Err`, or remove it"
            )));
        }
    }
}

/// What is wrong with `on_panic` on a stage with such a state, and what to write.
pub(crate) fn panic_misfit(
    given: OnPanic,
    state: StateKind,
    name: &str,
) -> Option<(String, &'static str)> {
    match given {
        OnPanic::Reset | OnPanic::Keep if !reset_fits(state) => {
            let message = format!("`on_panic = {given}` needs a state, and `{name}` has none");
            Some((message, "write `isolate` or `stop`"))
        }
        OnPanic::Isolate if !isolate_fits(state) => {
            let message =
                format!("a panic may leave the state of `{name}` broken for the items behind it");
            Some((
                message,
                "write `reset` for a new state, `keep` to go on with the old one, or `stop`",
            ))
        }
        _ => None,
    }
}

/// There are cores for all workers of the pool.
pub(super) fn cores<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let pool = &model.options.pool;
    let (Some(workers), Some(cores)) = (&pool.workers, &pool.cores) else {
        return;
    };
    let (threads, count) = (workers.value as usize, cores.value.len());
    if threads > count {
        let message = format!(
            "the pool has {threads} workers on {count} {}",
            if count == 1 { "core" } else { "cores" }
        );
        problems.push(
            Problem::new("E_FEW_CORES", message, cores.place.clone())
                .help(format!("give {threads} cores, or at most {count} workers"))
                .related(workers.place.clone(), "the workers"),
        );
    }
}

fn known<P: Place>(model: &Model<P>) -> impl Iterator<Item = (&Stage<P>, Signature)> {
    model
        .stages
        .iter()
        .filter_map(|stage| stage.signature.map(|signature| (stage, signature)))
}

fn problem<P: Place>(message: String, place: &P) -> Problem<P> {
    Problem::new("E_NEEDS", message, place.clone())
}

/// The sentence for a key that has no effect on a stage.
pub(crate) fn needs(key: Key, what: &str, stage: &str) -> String {
    format!("`{}` of `{stage}` needs {what}", info(key).name)
}

/// `batch` is for sources and for functions that take many items.
pub(crate) fn batch_need(source: bool, batch: bool) -> Need {
    (
        Key::Batch,
        source || batch,
        "a source or a function that takes many items at a time",
        TAKE_MANY,
    )
}

/// `linger` is for functions that take many items, and for keys.
pub(crate) fn linger_need(batch: bool, keyed: bool) -> Need {
    (
        Key::Linger,
        batch || keyed,
        "a function that takes many items at a time, or a `key`",
        TAKE_MANY,
    )
}

/// `budget` is for functions that take many items.
pub(crate) fn budget_need(batch: bool) -> Need {
    (
        Key::Budget,
        batch,
        "a function that takes many items at a time",
        TAKE_MANY,
    )
}

const TAKE_MANY: &str = "take `&mut Batch<T>`, `&mut [T]` or `&[T]`, or remove it";

/// `idle` is for sources that are polled.
pub(crate) fn idle_need(poll: bool) -> Need {
    (
        Key::Idle,
        poll,
        "a source that returns `Flow`",
        "return `Flow`, or remove it",
    )
}

/// `in_flight` is for futures.
pub(crate) fn in_flight_need(is_async: bool) -> Need {
    (
        Key::InFlight,
        is_async,
        "an `async fn`",
        "write `async fn`, or remove it",
    )
}

/// `prefetch` is for functions that take one item, wherever it runs.
pub(crate) fn prefetch_need(batch: bool, keyed: bool) -> Need {
    (
        Key::Prefetch,
        !batch && !keyed,
        "a function that takes one item at a time and has no `key`",
        "put it on a stage of its own in front, or remove it; in a function that takes many use `prefetching`",
    )
}

/// `queue` and `overflow` are for what reads the push input, or runs on threads of its own.
pub(crate) fn queue_need(key: Key, reads_input: bool, reads_ring: bool) -> Need {
    (
        key,
        reads_input || reads_ring,
        "a stage that reads `input`, or a pinned stage that is fed item by item",
        "remove it; other stages have no queue to size",
    )
}

/// `wait` and `realtime` are for pinned threads.
pub(crate) fn cores_need(key: Key, pinned: bool) -> Need {
    (key, pinned, "`cores`", "add `cores`, or remove it")
}

/// May a stage with such a state have `on_panic = reset` or `keep`?
fn reset_fits(state: StateKind) -> bool {
    state != StateKind::None
}

/// May a stage with such a state have `on_panic = isolate`?
fn isolate_fits(state: StateKind) -> bool {
    !matches!(state, StateKind::Serial | StateKind::Keyed)
}
