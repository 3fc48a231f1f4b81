//! Rules about items of which there are too many: who says what becomes of them, and where they may be lost.

use super::keys::needs;
use super::pinned::reads_ring;
use crate::model::{Given, Model, Place, Stage};
use crate::options::{Key, Overflow};
use crate::report::{Problem, Problems};

/// There is one input, so its readers say the same of it.
pub(super) fn one_input<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let mut given = at_input(model);
    let Some((first, word)) = given.next() else {
        return;
    };
    for (stage, other) in given.filter(|(_, given)| given.value != word.value) {
        let message = format!(
            "`{}` reads the same `input` as `{}`, which says another `overflow`",
            stage.name.text, first.name.text
        );
        let problem = Problem::new("E_ONE_INPUT", message, other.place.clone())
            .help("say `overflow` once, or the same at both")
            .related(word.place.clone(), "said here");
        problems.push(problem);
    }
}

/// Only what is pushed waits in a queue whose length says something, and one reader says what becomes of it.
pub(super) fn shed<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let mut first: Option<(&Stage<P>, &P)> = None;
    for stage in &model.stages {
        let Some(given) = &stage.options.shed else {
            continue;
        };
        let name = &stage.name.text;
        if stage.is_source() {
            // It is told that the key is for others.
            continue;
        }
        if !reads_input(stage) {
            let message = needs(Key::Shed, "a stage that reads `input`", name);
            let problem = Problem::new("E_NEEDS", message, given.key.clone());
            problems.push(problem.help("remove it; what sources give waits in no queue"));
        } else if let Some((other, at)) = first {
            let other = &other.name.text;
            let message =
                format!("`{name}` reads the same `input` as `{other}`, which says `shed`, too");
            let problem = Problem::new("E_ONE_INPUT", message, given.key.clone());
            problems.push(problem.help("say it once").related(at.clone(), "said here"));
        } else {
            first = Some((stage, &given.key));
        }
    }
}

/// What a ring between two threads holds only its reader can take out, and who writes into it takes nothing back.
pub(super) fn at_ring<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Some(given) = &stage.options.overflow else {
            continue;
        };
        let fits = matches!(given.value, Overflow::Block | Overflow::DropNewest);
        if fits || !reads_ring(model, stage) {
            continue;
        }
        let message = format!(
            "`{}` takes its items one by one from another pinned thread, which can wait or drop the item at hand",
            stage.name.text
        );
        let problem = Problem::new("E_OVERFLOW_RING", message, given.place.clone());
        problems.push(problem.help(format!(
            "write `drop_newest` or `block`; `{}` is for stages that read `input`",
            given.value
        )));
    }
}

/// What the readers of `input` say.
fn at_input<P: Place>(model: &Model<P>) -> impl Iterator<Item = (&Stage<P>, &Given<Overflow, P>)> {
    let readers = model.stages.iter().filter(|stage| reads_input(stage));
    readers.filter_map(|stage| Some((stage, stage.options.overflow.as_ref()?)))
}

fn reads_input<P: Place>(stage: &Stage<P>) -> bool {
    stage.from.iter().any(|door| door.is_input())
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
    fn every_policy_is_for_the_input() {
        for policy in crate::options::Overflow::NAMES {
            is(&format!("a: sink | input | overflow={policy}"), &[]);
        }
    }

    #[test]
    fn readers_of_the_input_agree() {
        is(
            "a: sink | input | overflow=reject
             b: sink | input
             c: sink | input | overflow=reject",
            &[],
        );
        is(
            "a: sink | input | overflow=reject
             b: sink | input | overflow=block",
            &[
                "E_ONE_INPUT at b.overflow=: `b` reads the same `input` as `a`, which says another `overflow`",
            ],
        );
    }

    #[test]
    fn between_pinned_threads_only_the_item_at_hand_can_be_dropped() {
        let check = |policy: &str, expect: &[&str]| {
            is(
                &format!(
                    "a: source many | | cores=\"0\"
                     b: sink | a | cores=\"1\" overflow={policy}"
                ),
                expect,
            );
        };
        check("block", &[]);
        check("drop_newest", &[]);
        for policy in ["reject", "drop_oldest", "shed_lowest"] {
            check(
                policy,
                &[
                    "E_OVERFLOW_RING at b.overflow=: `b` takes its items one by one from another pinned thread, which can wait or drop the item at hand",
                ],
            );
        }
    }

    #[test]
    fn what_is_shed_waits_in_the_input_of_which_one_reader_says_it() {
        is("a: stage keyed | input | shed=group\nb: sink | a", &[]);
        is(
            "a: source
             b: stage | a | shed=group
             c: sink | b, input | shed=group
             d: sink | input | shed=group",
            &[
                "E_NEEDS at b.shed: `shed` of `b` needs a stage that reads `input`",
                "E_ONE_INPUT at d.shed: `d` reads the same `input` as `c`, which says `shed`, too",
            ],
        );
        is(
            "a: source poll serial | | acks
             b: sink | a, input | shed=group",
            &[
                "E_ACKS_DROP at b.shed: `a` is acknowledged, and `b` would drop items that wait for too long",
            ],
        );
    }

    #[test]
    fn nothing_is_dropped_where_a_source_is_acknowledged() {
        let check = |policy: &str, expect: &[&str]| {
            is(
                &format!(
                    "a: source poll serial | | acks
                     b: sink | a, input | overflow={policy}"
                ),
                expect,
            );
        };
        check("reject", &[]);
        check(
            "drop_newest",
            &[
                "E_ACKS_DROP at b.overflow=: `a` is acknowledged, and a full queue in front of `b` would drop items",
            ],
        );
    }
}
