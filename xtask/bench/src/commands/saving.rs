//! A result from its beginning to its file, the same for all commands that save one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    build::{self, Subject},
    history,
    options::Output,
    show,
};
use crate::{
    built::Built,
    error::Error,
    machine::Machine,
    results::{SCHEMA, Saved, SavedScenario},
    session::Side,
};

/// The verdict on what was interrupted, or still goes on.
const UNFINISHED: &str = "unfinished";

/// A result while it is made: every step that is finished is written, and what is interrupted stays marked as partial.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) saved: Saved,
    place: PathBuf,
    /// Where the history lies that it is added to, if it is.
    history: Option<PathBuf>,
    json: bool,
    quiet: bool,
}

impl Keeper {
    /// Of the command that was typed.
    pub(crate) fn new(output: &Output, mode: &str, subjects: &[(Side, &Subject)]) -> Self {
        let saved = begin(mode, subjects);
        let folder = output.out.clone();
        let place = folder
            .unwrap_or_else(|| build::home().join(&saved.run_id))
            .join("run.json");
        Self {
            saved,
            place,
            history: output.save.as_deref().map(|folder| {
                history::home(Some(folder).filter(|folder| !folder.as_os_str().is_empty()))
            }),
            json: output.json,
            quiet: output.quiet,
        }
    }

    /// Puts a scenario in the place of what was kept of it, and writes everything.
    pub(crate) fn keep(&mut self, scenario: SavedScenario) -> Result<(), Error> {
        let mut all = self.saved.scenarios.iter_mut();
        match all.find(|one| one.id == scenario.id) {
            Some(one) => *one = scenario,
            None => self.saved.scenarios.push(scenario),
        }
        self.save()
    }

    /// Writes what there is.
    pub(crate) fn save(&self) -> Result<(), Error> {
        self.saved.save(&self.place)
    }

    /// Writes it for the last time and prints it: `text`, or the result, or the verdict only. `ended`: how the command ended; an error
    /// is passed on after that.
    pub(crate) fn end<T>(
        &mut self,
        ended: Result<T, Error>,
        verdict: &str,
        text: impl FnOnce(&Saved) -> String,
    ) -> Result<T, Error> {
        self.saved.partial = ended.is_err();
        // What was found of a part of it is no verdict on the whole.
        self.saved.verdict = match ended {
            Ok(_) => verdict.to_owned(),
            Err(_) => UNFINISHED.to_owned(),
        };
        self.saved.limits.extend(generators(&self.saved.scenarios));
        let written = self.save();
        match (self.json, self.quiet) {
            (true, _) => show::json(&self.saved)?,
            (_, true) => show::print(&self.saved.verdict)?,
            _ => show::print(&text(&self.saved))?,
        }
        // What went wrong first is what is told.
        let ended = ended?;
        written?;
        let told = self
            .history
            .as_deref()
            .map(|folder| history::add(&self.saved, folder));
        let told = told.transpose()?;
        // The output of `--json` and `--quiet` is for programs.
        if !self.json && !self.quiet {
            show::print(&format!("saved: {}", self.place.display()))?;
            if let Some(told) = told {
                show::print(&told)?;
            }
        }
        Ok(ended)
    }
}

/// A result without scenarios.
fn begin(mode: &str, subjects: &[(Side, &Subject)]) -> Saved {
    let now = jiff::Timestamp::now();
    let code: BTreeMap<_, _> = subjects
        .iter()
        .map(|(side, subject)| (*side, subject.code.clone()))
        .collect();
    let newest = code
        .values()
        .last()
        .map_or("", |code| code.revision.as_str());
    let short: String = newest
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    Saved {
        schema: SCHEMA.to_owned(),
        run_id: format!("{}-{short}", now.strftime("%Y%m%dT%H%M%SZ")),
        started: now.to_string(),
        mode: mode.to_owned(),
        command: std::env::args_os()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        partial: true,
        code,
        env: Machine::read(Path::new("/")),
        limits: unlike(subjects),
        scenarios: Vec::new(),
        verdict: UNFINISHED.to_owned(),
    }
}

/// How the two sides of a comparison were built differently, as far as they tell.
fn unlike(subjects: &[(Side, &Subject)]) -> Vec<String> {
    let [(_, a), (_, b)] = subjects else {
        return Vec::new();
    };
    let built = Built::of(&a.code.build, &b.code.build);
    let different = (!built.different.is_empty()).then(|| {
        format!(
            "the two sides were built differently: {}",
            built.different.join(", ")
        )
    });
    different.into_iter().chain(built.unknown()).collect()
}

/// Where generators ran, as far as that limits what was found.
fn generators(scenarios: &[SavedScenario]) -> Vec<String> {
    let of = |told: &str, fits: fn(bool, bool) -> bool| {
        let all = scenarios.iter().filter(|one| {
            let shared = &one.details.shared;
            let any = shared.values().any(|shared| *shared);
            fits(any, shared.values().any(|shared| !shared))
        });
        let ids: Vec<&str> = all.map(|one| one.id.as_str()).collect();
        (!ids.is_empty()).then(|| format!("{told}: {}", ids.join(", ")))
    };
    let shared = of(
        "the generator shared its processors with what was measured",
        |shared, alone| shared && !alone,
    );
    let uneven = of(
        "the generator had a processor of its own with one side only, so latencies are not those of like with like",
        |shared, alone| shared && alone,
    );
    shared.into_iter().chain(uneven).collect()
}

/// All of a result as text.
pub(crate) fn text(saved: &Saved) -> String {
    show::text(saved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;

    #[test]
    fn results_tell_where_the_generator_shared_its_processors_and_where_that_is_uneven() {
        let check = |shared: &[(Side, bool)], expect: Option<&str>| {
            let one = SavedScenario {
                id: "latency/x".to_owned(),
                details: Details {
                    shared: shared.iter().copied().collect(),
                    ..Details::default()
                },
                ..SavedScenario::default()
            };
            let told = generators(&[one, SavedScenario::default()]);
            assert_eq!(told.first().map(String::as_str), expect, "{shared:?}");
            assert!(told.len() < 2, "{told:?}");
        };
        check(&[], None);
        check(&[(Side::A, false), (Side::B, false)], None);
        let shared = "the generator shared its processors with what was measured: latency/x";
        check(&[(Side::A, true)], Some(shared));
        check(&[(Side::A, true), (Side::B, true)], Some(shared));
        check(
            &[(Side::A, false), (Side::B, true)],
            Some(
                "the generator had a processor of its own with one side only, so latencies are not those of like with like: latency/x",
            ),
        );
    }
}
