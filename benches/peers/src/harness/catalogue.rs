//! The cases and their goals: data, in `cases.toml`; what runs them is code, in `cases/`.

use serde::{Deserialize, Serialize};

use super::{Contender, Scale};

const TEXT: &str = include_str!("../../cases.toml");

/// A case: what is measured, and what is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) measures: Vec<Measure>,
    #[serde(default)]
    pub(crate) goals: Vec<Goal>,
}

/// A quantity that every contender of a case reports.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Greater,
    Smaller,
}

impl Better {
    /// How many times as fast is `ours` as `other`?
    pub(crate) fn speed(self, ours: f64, other: f64) -> f64 {
        match self {
            Better::Greater => ours / other,
            Better::Smaller => other / ours,
        }
    }

    /// Is `a` better than `b`?
    pub(crate) fn prefers(self, a: f64, b: f64) -> bool {
        self.speed(a, b) > 1.0
    }
}

/// What a row of ours has to reach.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    /// The row.
    pub(crate) row: String,
    /// Of which measure; the first one if nothing is said.
    #[serde(default)]
    pub(crate) measure: Option<String>,
    #[serde(flatten)]
    pub(crate) want: Want,
}

/// What is wanted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Want {
    /// At least so many times as fast as the other.
    Faster { than: Whom, times: f64 },
    /// At most so many times the other's value; for what is better when it is smaller.
    Within { of: Whom, times: f64 },
    /// At most so much more than the other's value, in the measure's unit.
    Over { of: Whom, by: f64 },
    /// At most so much, in the measure's unit.
    AtMost(f64),
    /// No run is worse than this part of the row's median: there is no slow mode.
    Steady(f64),
}

/// What a row is compared with.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whom {
    /// The best of all peers.
    BestPeer,
    /// The best of these rows.
    BestOf(Vec<String>),
    /// That row.
    Row(String),
    /// The best single run of that row.
    BestRunOf(String),
    /// The same row in another measure.
    Own(String),
}

/// All cases, in their order.
pub(crate) fn cases() -> Result<Vec<Case>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        case: Vec<Case>,
    }
    let file: File = toml::from_str(TEXT).map_err(|error| format!("`cases.toml`: {error}"))?;
    Ok(file.case)
}

/// The cases whose names begin with one of the words; all of them if there is no word.
pub(crate) fn chosen(words: &[String]) -> Result<Vec<Case>, String> {
    let mut cases = cases()?;
    for word in words {
        if !cases.iter().any(|case| case.name.starts_with(word)) {
            return Err(format!(
                "no case begins with `{word}`\nhelp: `cargo xtask peers --list` shows all"
            ));
        }
    }
    let named = |case: &Case| words.iter().any(|word| case.name.starts_with(word));
    cases.retain(|case| words.is_empty() || named(case));
    Ok(cases)
}

impl Case {
    pub(crate) fn contenders(&self, scale: Scale) -> Result<Vec<Contender>, String> {
        crate::cases::contenders(&self.name, scale).ok_or_else(|| {
            format!(
                "`cases.toml` has the case `{}` and nothing runs it",
                self.name
            )
        })
    }

    /// The index of the measure of that name; the first one if there is no name.
    pub(crate) fn measure(&self, name: Option<&str>) -> Result<usize, String> {
        let Some(name) = name else { return Ok(0) };
        let found = self
            .measures
            .iter()
            .position(|measure| measure.name == name);
        found.ok_or_else(|| format!("`{}` has no measure `{name}`", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_measures_and_sound_goals() {
        let cases = cases().unwrap();
        for (at, case) in cases.iter().enumerate() {
            assert!(cases[..at].iter().all(|other| other.name != case.name));
            assert!(!case.measures.is_empty(), "{}", case.name);
            for goal in &case.goals {
                let measure = case.measure(goal.measure.as_deref()).unwrap();
                let smaller = case.measures[measure].better == Better::Smaller;
                let needs_smaller = matches!(goal.want, Want::Within { .. } | Want::AtMost(_));
                assert!(smaller || !needs_smaller, "{}: {goal:?}", case.name);
            }
        }
    }

    #[test]
    fn goals_name_rows_that_their_case_has() {
        for case in cases().unwrap() {
            let rows = case.contenders(Scale::Quick).unwrap();
            let has = |name: &str| rows.iter().any(|row| row.name == name);
            for goal in &case.goals {
                let others = match &goal.want {
                    Want::Faster { than, .. } | Want::Within { of: than, .. } => match than {
                        Whom::Row(name) | Whom::BestRunOf(name) => vec![name.clone()],
                        Whom::BestOf(names) => names.clone(),
                        Whom::Own(_) | Whom::BestPeer => Vec::new(),
                    },
                    Want::AtMost(_) | Want::Steady(_) => Vec::new(),
                };
                for other in others {
                    assert!(has(&other), "{} has no row `{other}`", case.name);
                }
            }
        }
    }

    #[test]
    fn a_word_chooses_the_cases_that_begin_with_it() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            chosen(&words).map(|cases| cases.into_iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["hop_latency"]).unwrap(), ["hop_latency"]);
        assert_eq!(names(&["hop"]).unwrap(), ["hop", "hop_latency"]);
        assert!(names(&["hopp"]).unwrap_err().contains("`hopp`"));
        assert_eq!(names(&[]).unwrap().len(), cases().unwrap().len());
    }
}
