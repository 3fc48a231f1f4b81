//! Changes that somebody has looked at: `pipewright.acks/1`, a file of lines of JSON beside the history of its class.
//!
//! A line has one change of one series, and the reason why it is all right, or known. It holds for the run that the change was seen
//! at, and for the runs next to it: with more runs behind it, where a change is seen may move by one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Changed, History, Key, Line,
    file::{append_lines, read_lines},
};
use crate::error::Error;

/// Its name and version. What is added keeps it; what changes does not.
const SCHEMA: &str = "pipewright.acks/1";

/// How many runs a change may move.
const MOVES: usize = 1;

/// A change that somebody has looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ack {
    pub(crate) schema: String,
    pub(crate) scenario: String,
    pub(crate) setup: String,
    pub(crate) metric: String,
    /// The first run of what is new.
    pub(crate) run_id: String,
    pub(crate) commit: String,
    /// Did it become worse?
    pub(crate) worse: bool,
    pub(crate) reason: String,
    /// When it was acknowledged.
    pub(crate) at: String,
}

/// Where those of a class lie.
fn place(folder: &Path, class: &str) -> PathBuf {
    folder.join("history").join(format!("{class}.acks"))
}

/// All of a class; none if there are none yet.
pub(super) fn read(folder: &Path, class: &str) -> Result<Vec<Ack>, Error> {
    read_lines(&place(folder, class), SCHEMA, |_: &Ack| Ok(()))
}

impl History {
    /// Acknowledges a change of a series; the newest reason counts.
    pub(crate) fn acknowledge(
        folder: &Path,
        class: &str,
        changes: &[(&Key, &Line, &Changed)],
        reason: &str,
    ) -> Result<PathBuf, Error> {
        let at = jiff::Timestamp::now().to_string();
        let acks = changes.iter().map(|(key, line, change)| Ack {
            schema: SCHEMA.to_owned(),
            scenario: key.scenario.clone(),
            setup: key.setup.clone(),
            metric: key.metric.clone(),
            run_id: line.run_id.clone(),
            commit: change.commit.clone(),
            worse: change.worse,
            reason: reason.to_owned(),
            at: at.clone(),
        });
        let acks: Vec<Ack> = acks.collect();
        let path = place(folder, class);
        append_lines(&path, || {
            // Nobody writes behind lines that nobody can read.
            read(folder, class)?;
            Ok(acks)
        })?;
        Ok(path)
    }

    /// Who has looked at this change of a series, if anybody has.
    pub(crate) fn acknowledged(
        &self,
        key: &Key,
        series: &[&Line],
        change: &Changed,
    ) -> Option<&Ack> {
        self.acks.iter().rev().find(|ack| {
            let of = (&ack.scenario, &ack.metric, &ack.setup);
            let at = series.iter().position(|line| line.run_id == ack.run_id);
            of == (&key.scenario, &key.metric, &key.setup)
                && ack.worse == change.worse
                && at.is_some_and(|at| at.abs_diff(change.at) <= MOVES)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LEAST, P, append, changes, tests::run};
    use super::*;

    /// Days of 1000 and, from this one on, of 900.
    fn past(folder: &Path, slower_from: usize) -> History {
        for day in 1..=24 {
            let rate = if day < slower_from { 1000.0 } else { 900.0 };
            append(folder, &run(day, rate + (day % 3) as f64)).expect("it can be written");
        }
        History::read(folder, "c").expect("it can be read")
    }

    #[test]
    fn a_change_that_is_acknowledged_keeps_its_reason_where_it_moves_by_a_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = past(folder.path(), 13);
        let series = history.series();
        let (key, lines) = series.first_key_value().expect("there is one");
        let found = changes(lines, P, LEAST).expect("there are enough");
        let [change] = found.as_slice() else {
            panic!("there is one: {found:?}");
        };
        assert_eq!(history.acknowledged(key, lines, change), None);
        for reason in ["a reason", "a better reason"] {
            let all = [(key, lines[change.at], change)];
            History::acknowledge(folder.path(), "c", &all, reason).expect("it can be written");
        }
        let history = History::read(folder.path(), "c").expect("it can be read");
        let check = |at: usize, worse: bool, expect: Option<&str>| {
            let moved = Changed {
                at,
                worse,
                ..change.clone()
            };
            let ack = history.acknowledged(key, lines, &moved);
            let reason = ack.map(|ack| ack.reason.as_str());
            assert_eq!(reason, expect, "{at} {worse}");
        };
        check(12, true, Some("a better reason"));
        check(11, true, Some("a better reason"));
        check(13, true, Some("a better reason"));
        check(14, true, None);
        check(12, false, None);
        assert_eq!(super::super::classes(folder.path()), ["c"], "no class more");
    }

    #[test]
    fn what_is_no_acknowledgement_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        past(folder.path(), 13);
        let path = place(folder.path(), "c");
        std::fs::write(&path, "{\"schema\":\"pipewright.acks/2\"}\n").expect("a file");
        let error = History::read(folder.path(), "c").expect_err("it is of another version");
        let text = error.to_string();
        assert!(
            text.contains("line 1") && text.contains("pipewright.acks/2"),
            "{text}"
        );
        assert!(History::acknowledge(folder.path(), "c", &[], "why").is_err());
    }
}
