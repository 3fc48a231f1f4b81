//! Rules about stages with threads of their own.

use super::keys::{cores_need, needs};
use crate::cores::CoreSet;
use crate::model::{Given, Gives, Model, Place, Stage, StateKind};
use crate::options::{Key, Order, StageOptions, Wait, info};
use crate::plan::{Class, Head, LinkKind, Segment};
use crate::report::{Problem, Problems};

/// A stage has at most so many threads of its own.
pub const MAX_THREADS: usize = 64;

/// `wait` and `realtime` are for pinned threads.
pub(super) fn needs_cores<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model
        .stages
        .iter()
        .filter(|stage| stage.options.cores.is_none())
    {
        for key in [Key::Wait, Key::Realtime] {
            let (_, _, what, help) = cores_need(key, false);
            if let Some(place) = stage.options.given(key) {
                let message = needs(key, what, &stage.name.text);
                problems.push(Problem::new("E_NEEDS", message, place.clone()).help(help));
            }
        }
    }
}

/// What pinned threads are told, and what they can keep.
pub(super) fn threads<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    if model
        .stages
        .iter()
        .all(|stage| stage.options.cores.is_none())
    {
        return;
    }
    let plan = crate::plan(model);
    for segment in plan.segments.iter().filter(|segment| segment.is_pinned()) {
        let stages: Vec<&Stage<P>> = run_by(segment).map(|at| &model.stages[at]).collect();
        one_loop(&stages, problems);
        if segment.class == Class::Parallel && segment.keys_in_order && !segment.outs.is_empty() {
            keys_in_order(stages[0], problems);
        }
    }
}

/// Stages that run in one loop have the same threads, which wait in one way and have one priority; and a thread with
/// real-time priority sleeps.
fn one_loop<P: Place>(stages: &[&Stage<P>], problems: &mut Problems<P>) {
    let wait = agreed(stages, Key::Wait, |options| options.wait.as_ref(), problems);
    let realtime = agreed(
        stages,
        Key::Realtime,
        |options| options.realtime.as_ref(),
        problems,
    );
    if let (Some((stage, wait)), Some((_, realtime))) = (wait, realtime)
        && let Some((message, help)) = realtime_misfit(wait.value, &stage.name.text)
    {
        let problem = Problem::new("E_REALTIME", message, wait.place.clone()).help(help);
        problems.push(problem.related(realtime.key.clone(), "the real-time priority"));
    }
}

/// Several threads that take whole batches, as they come, would mix the items of each key.
fn keys_in_order<P: Place>(stage: &Stage<P>, problems: &mut Problems<P>) {
    if let Some(cores) = &stage.options.cores {
        let why = "several threads cannot keep the items of each key in order";
        problems.push(too_many_for(stage, cores, why, ", or `order = any`"));
    }
}

/// The stages of a segment, its source first.
fn run_by(segment: &Segment) -> impl Iterator<Item = usize> + '_ {
    let source = match segment.head {
        Head::Source(source) => Some(source),
        _ => None,
    };
    source.into_iter().chain(segment.stages.iter().copied())
}

/// What the stages of one loop say about a key, and which of them; those that say something else are told.
fn agreed<'m, P: Place, T: PartialEq>(
    stages: &[&'m Stage<P>],
    key: Key,
    of: impl Fn(&'m StageOptions<P>) -> Option<&'m Given<T, P>>,
    problems: &mut Problems<P>,
) -> Option<(&'m Stage<P>, &'m Given<T, P>)> {
    let mut given = stages
        .iter()
        .filter_map(|stage| Some((*stage, of(&stage.options)?)));
    let (first, value) = given.next()?;
    let name = info(key).name;
    for (other, else_) in given.filter(|(_, given)| given.value != value.value) {
        let message = format!(
            "`{}` runs in one loop with `{}`, which says another `{name}`",
            other.name.text, first.name.text
        );
        let problem = Problem::new("E_ONE_LOOP", message, else_.place.clone());
        let problem = problem.help(format!("say `{name}` once, or the same at both"));
        problems.push(problem.related(value.place.clone(), "said here"));
    }
    Some((first, value))
}

/// Why a thread of `stage` with real-time priority cannot wait like this, and what to write.
///
/// It may only wait asleep. `adaptive` looks around for as long as a wake-up takes, so while items come faster than that it
/// never sleeps.
pub fn realtime_misfit(wait: Wait, stage: &str) -> Option<(String, &'static str)> {
    let never_sleeps = match wait {
        Wait::Park => return None,
        Wait::Spin => "a thread that never sleeps",
        Wait::Adaptive => "while items come within 20 us of each other, it never sleeps and",
    };
    let message = format!(
        "`wait = {wait}` of `{stage}` does not go with `realtime`: {never_sleeps} starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second"
    );
    let help = "write `wait = park`, which is the default with `realtime`, or remove `realtime`";
    Some((message, help))
}

/// What one thread must run has one core.
pub(super) fn one_thread<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(cores) = &stage.options.cores else {
            continue;
        };
        if cores.value.len() > 1
            && let Some((why, also)) = needs_one(stage)
        {
            problems.push(too_many_for(stage, cores, why, also));
        }
    }
}

/// A stage on several cores that needs one.
fn too_many_for<P: Place>(
    stage: &Stage<P>,
    cores: &Given<CoreSet, P>,
    why: &str,
    also: &str,
) -> Problem<P> {
    let (name, count) = (&stage.name.text, cores.value.len());
    let message = format!("`{name}` has {count} cores, and {why}");
    let first = cores.value.as_slice()[0];
    let problem = Problem::new("E_ONE_CORE", message, cores.place.clone());
    problem.help(format!("write `cores = \"{first}\"`{also}"))
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
             c: stage keyed | b | cores=\"5,8\"
             d: sink | c | cores=\"6,7\"",
            &[
                "E_ONE_CORE at a.cores=: `a` has 2 cores, and only one thread at a time can pull from it",
                "E_ONE_CORE at b.cores=: `b` has 3 cores, and its one `&mut S` is for one thread",
                "E_ONE_CORE at d.cores=: `d` has 2 cores, and several threads cannot keep the order of a sink",
            ],
        );
    }

    #[test]
    fn several_threads_do_not_mix_the_items_of_a_key() {
        is(
            "a: source
             b: stage keyed | a
             c: stage | b | cores=\"0,1\"
             d: sink serial | c",
            &[
                "E_ONE_CORE at c.cores=: `c` has 2 cores, and several threads cannot keep the items of each key in order",
            ],
        );
        // One thread has all keys and keeps the order of the source; the threads of the keys go on; nobody asks for order.
        is(
            "a: source
             b: stage keyed | a | cores=\"0\"
             c: stage | b | cores=\"0,1\"
             d: stage keyed | c | cores=\"0,1\"
             e: stage | d | cores=\"0,1\"
             f: stage | e | cores=\"2,3\" order=any
             g: sink per_worker | e | cores=\"2,3\"
             h: sink serial | f",
            &[],
        );
    }

    #[test]
    fn a_thread_with_real_time_priority_sleeps() {
        is(
            "a: source | | cores=\"0\" realtime=1
             b: stage | a | cores=\"1\" realtime=49 wait=park
             c: sink | b",
            &[],
        );
        is(
            "a: source | | realtime=1
             b: stage | a | cores=\"1\" realtime=49 wait=spin
             c: sink | b | cores=\"2\" realtime=49 wait=adaptive",
            &[
                "E_NEEDS at a.realtime: `realtime` of `a` needs `cores`",
                "E_REALTIME at b.wait=: `wait = spin` of `b` does not go with `realtime`: a thread that never sleeps starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second",
                "E_REALTIME at c.wait=: `wait = adaptive` of `c` does not go with `realtime`: while items come within 20 us of each other, it never sleeps and starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second",
            ],
        );
    }

    #[test]
    fn stages_of_one_loop_have_the_same_threads() {
        is(
            "a: source | | cores=\"0\"
             b: stage | a | cores=\"0\" wait=park
             c: stage | b | cores=\"0\" wait=park realtime=5
             d: sink | c",
            &[],
        );
        is(
            "a: source | | cores=\"0\" wait=spin
             b: stage | a | cores=\"0\" wait=park
             c: stage | b | cores=\"0\" realtime=5
             d: stage | c | cores=\"0\" realtime=6
             e: sink | d | cores=\"1\" wait=park realtime=7",
            &[
                "E_ONE_LOOP at b.wait=: `b` runs in one loop with `a`, which says another `wait`",
                "E_ONE_LOOP at d.realtime=: `d` runs in one loop with `c`, which says another `realtime`",
                "E_REALTIME at a.wait=: `wait = spin` of `a` does not go with `realtime`: a thread that never sleeps starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second",
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
