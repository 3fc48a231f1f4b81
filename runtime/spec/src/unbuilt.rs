//! The options that this version reads and checks, but does not have.

use crate::model::{Model, Place, Stage};
use crate::options::{Key, KeyInfo, STAGE_KEYS, info};
use crate::report::{Problem, Problems};

/// A problem for each option that this version does not have.
pub fn unbuilt<P: Place>(model: &Model<P>) -> Problems<P> {
    let mut problems = Problems::new();
    for stage in &model.stages {
        stage_keys(stage, &mut problems);
    }
    pipeline_keys(model, &mut problems);
    problems
}

/// The sentence and the help for something that this version does not have.
pub fn problem<P>(what: &str, key: Key, place: P) -> Problem<P> {
    let message = format!("`{what}` is not available in pipewright {}", crate::VERSION);
    Problem::new("E_UNBUILT", message, place).help(instead(key))
}

/// What to do instead.
fn instead(key: Key) -> &'static str {
    match key {
        Key::Jemalloc => "remove it; set the allocator up in `main`",
        _ => "remove it",
    }
}

fn stage_keys<P: Place>(stage: &Stage<P>, problems: &mut Problems<P>) {
    let missing = |info: &&KeyInfo| !info.built;
    for info in STAGE_KEYS.iter().filter(missing) {
        if let Some(place) = stage.options.given(info.key) {
            problems.push(problem(info.name, info.key, place.clone()));
        }
    }
}

fn pipeline_keys<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let key = Key::Jemalloc;
    if let Some(place) = model.options.given(key) {
        problems.push(problem(info(key).name, key, place.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::{show, sketch};

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let problems = unbuilt(&sketch(text));
        let expect: Vec<String> = expect
            .iter()
            .map(|line| {
                let (place, what) = line.split_once(' ').unwrap_or((line, ""));
                format!(
                    "E_UNBUILT at {place}: `{what}` is not available in pipewright {}",
                    crate::VERSION
                )
            })
            .collect();
        assert_eq!(show(&problems), expect);
        assert!(problems.iter().all(|problem| problem.help.len() == 1));
    }

    #[test]
    fn options_that_this_version_has_are_not_reported() {
        check(
            "a: source poll | | idle=\"20us\" batch=8 cores=\"1\" wait=park realtime=10
             b: stage batch | a | batch=64 linger=\"1ms\" on_panic=stop order=any
             c: stage | b | prefetch=8
             e: stage async result | b | in_flight=4 timeout=\"1s\"
             d: sink | c, e, input | queue=64 overflow=drop_oldest on_error=drop
             @ pool workers=4 cores=\"0-3\" smt=auto numa=0
             f: sink | e::Err
             @ quantum=\"64us\"
             @ reply=c
             @ memory=\"64Mi\"
             @ hw enforce=deny",
            &[],
        );
    }

    #[test]
    fn options_that_this_version_has_not_are_reported() {
        check(
            "a: source
             b: stage | a | workers=2
             @ jemalloc=group",
            &["@jemalloc jemalloc"],
        );
    }
}
