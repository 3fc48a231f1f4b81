//! Rules about stages with threads of their own.

use super::keys::{needs, wait_need};
use crate::cores::CoreSet;
use crate::model::{Gives, Model, Place, Stage, StateKind};
use crate::options::{Key, Order};
use crate::plan::LinkKind;
use crate::report::{Problem, Problems};

/// A stage has at most so many threads of its own.
pub const MAX_THREADS: usize = 64;

/// `wait` is for pinned threads.
pub(super) fn wait<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let (_, fits, what, help) = wait_need(stage.options.cores.is_some());
        if let Some(wait) = stage.options.wait.as_ref().filter(|_| !fits) {
            let message = needs(Key::Wait, what, &stage.name.text);
            problems.push(Problem::new("E_NEEDS", message, wait.key.clone()).help(help));
        }
    }
}

/// What one thread must run has one core.
pub(super) fn one_thread<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(cores) = &stage.options.cores else {
            continue;
        };
        let name = &stage.name.text;
        let problem = |code, message: String| Problem::new(code, message, cores.place.clone());
        if stage.state() == Some(StateKind::Keyed) {
            let message = format!(
                "`{name}` has a state for each key, which the pool divides between its workers"
            );
            problems.push(
                problem("E_PINNED_KEYS", message)
                    .help("remove `cores`, or remove `key` and keep one `&mut S`"),
            );
        } else if cores.value.len() > 1
            && let Some((why, also)) = needs_one(stage)
        {
            let message = format!("`{name}` has {} cores, and {why}", cores.value.len());
            let first = cores.value.as_slice()[0];
            problems.push(
                problem("E_ONE_CORE", message).help(format!("write `cores = \"{first}\"`{also}")),
            );
        }
    }
}

/// Why one thread must run a stage, and what else could be written.
fn needs_one<P: Place>(stage: &Stage<P>) -> Option<(&'static str, &'static str)> {
    let keeps = stage
        .options
        .order
        .as_ref()
        .is_none_or(|order| order.value == Order::Keep);
    let gives = stage.signature.map(|signature| signature.gives);
    match stage.state() {
        Some(StateKind::Serial) if !stage.is_source() => Some((
            "its one `&mut S` is for one thread",
            ", or add `per_worker` for one state for each thread",
        )),
        _ if stage.is_source() && matches!(gives, Some(Gives::Many | Gives::Flow)) => Some((
            "only one thread at a time can pull from it",
            ", or return something that can be cut, such as a range or a `Vec`",
        )),
        Some(StateKind::None) if stage.is_sink() && keeps => Some((
            "several threads cannot keep the order of a sink",
            ", or `order = any`",
        )),
        _ => None,
    }
}

/// There is a bound to the threads of a stage.
pub(super) fn many_threads<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let cores = |stage: &Stage<P>| stage.options.cores.clone();
    for cores in model.stages.iter().filter_map(cores) {
        if let Some(message) = too_many(&cores.value) {
            let problem = Problem::new("E_MANY_CORES", message, cores.place);
            problems.push(problem.help(format!("name at most {MAX_THREADS} cores")));
        }
    }
}

/// What is wrong with a list of so many cores.
pub(crate) fn too_many(cores: &CoreSet) -> Option<String> {
    let count = cores.len();
    (count > MAX_THREADS).then(|| format!("{count} cores would be {count} threads for one stage"))
}

/// Does a stage take its items from a ring between two pinned threads?
pub(super) fn reads_ring<P: Place>(model: &Model<P>, stage: &Stage<P>) -> bool {
    // Without threads of its own it does not, and the plan need not be made.
    stage.options.cores.is_some()
        && crate::plan(model).links.iter().any(|link| {
            link.kind == LinkKind::Ring && model.stages[link.to].name.text == stage.name.text
        })
}

#[cfg(test)]
mod tests {
    use crate::check;
    use crate::sketch::{show, sketch};

    #[track_caller]
    fn is(text: &str, expect: &[&str]) {
        assert_eq!(show(&check(&sketch(text))), expect);
    }

    #[test]
    fn pinned_stages_of_every_kind_are_taken() {
        is(
            "a: source poll serial | | cores=\"0\" wait=spin
             b: stage | a | cores=\"1-3\"
             c: stage serial | b | cores=\"4\" wait=park
             d: sink | c | cores=\"5\" queue=64",
            &[],
        );
        is(
            "a: source cut | | cores=\"0,1\"
             b: stage per_worker | a | cores=\"0,1\"
             c: sink | b | cores=\"0,1\" order=any",
            &[],
        );
    }

    #[test]
    fn what_one_thread_must_run_has_one_core() {
        is(
            "a: source many | | cores=\"0,1\"
             b: stage serial | a | cores=\"2-4\"
             c: stage keyed | b | cores=\"5\"
             d: sink | c | cores=\"6,7\"",
            &[
                "E_ONE_CORE at a.cores=: `a` has 2 cores, and only one thread at a time can pull from it",
                "E_ONE_CORE at b.cores=: `b` has 3 cores, and its one `&mut S` is for one thread",
                "E_PINNED_KEYS at c.cores=: `c` has a state for each key, which the pool divides between its workers",
                "E_ONE_CORE at d.cores=: `d` has 2 cores, and several threads cannot keep the order of a sink",
            ],
        );
    }

    #[test]
    fn a_stage_has_at_most_64_threads() {
        is(
            "a: source
             b: stage | a | cores=\"0-64\"
             c: sink | b",
            &["E_MANY_CORES at b.cores=: 65 cores would be 65 threads for one stage"],
        );
    }

    #[test]
    fn a_queue_is_between_two_pinned_threads() {
        is(
            "a: source | | cores=\"0\"
             b: stage | a | cores=\"1\" queue=64
             c: sink | b | queue=64",
            &[
                "E_NEEDS at b.queue: `queue` of `b` needs a stage that reads `input`, or a pinned stage that is fed item by item",
                "E_NEEDS at c.queue: `queue` of `c` needs a stage that reads `input`, or a pinned stage that is fed item by item",
            ],
        );
    }
}
