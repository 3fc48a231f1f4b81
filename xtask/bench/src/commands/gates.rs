//! What passes the gates of `bench ci`: values that were found once, and how much more than that may be found.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct References {
    /// Compiler and target that they hold for.
    pub(super) toolchain: String,
    /// By name.
    pub(super) gates: BTreeMap<String, Reference>,
}

/// What was found once, and by which share more may be found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    pub(super) value: f64,
    /// The largest value that passes.
    pub(super) most: f64,
}

/// What was found now: a value, or why there is none.
pub(super) type Found = BTreeMap<String, Result<f64, String>>;

/// What came of all gates.
#[derive(Debug, Serialize)]
pub(crate) struct Gates {
    /// A line for each.
    #[serde(skip)]
    pub(crate) text: String,
    /// What is said of those that did not pass.
    #[serde(skip)]
    pub(crate) others: Vec<String>,
    pub(super) gates: Vec<Gate>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// What came of one.
#[derive(Debug, Serialize)]
pub(super) struct Gate {
    name: String,
    result: Word,
    /// What was found now.
    value: Option<f64>,
    reference: Option<Reference>,
    /// Why it was not compared.
    why: Option<String>,
}

impl Gates {
    /// None of the references can be compared with anything, for this reason.
    pub(super) fn skipped(references: References, why: &str) -> Self {
        let text = format!("SKIPPED: {why}");
        let gate = |(name, reference)| Gate {
            name,
            result: Word::Skipped,
            value: None,
            reference: Some(reference),
            why: Some(why.to_owned()),
        };
        Self {
            others: vec![text.clone()],
            text,
            passed: 0,
            failed: 0,
            skipped: references.gates.len(),
            gates: references.gates.into_iter().map(gate).collect(),
        }
    }

    /// What is said of all of them.
    pub(super) fn verdict(&self) -> String {
        match (self.failed, self.skipped) {
            (0, 0) => "pass".to_owned(),
            (0, n) => format!("skipped: {n} of {} gates", n + self.passed),
            (n, _) => format!("{n} gates failed"),
        }
    }
}

/// A line for each gate.
pub(super) fn table(references: &References, found: &Found) -> Gates {
    let mut names: Vec<&String> = references.gates.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    let mut lines = Vec::new();
    let mut gates = Gates {
        text: String::new(),
        others: Vec::new(),
        gates: Vec::new(),
        passed: 0,
        failed: 0,
        skipped: 0,
    };
    for name in names {
        let (word, said) = verdict(references.gates.get(name), found.get(name));
        lines.push(format!("{word:<7} {name:<24} {said}"));
        match word {
            Word::Ok => gates.passed += 1,
            Word::Failed => gates.failed += 1,
            Word::Skipped => gates.skipped += 1,
        }
        let value = found.get(name);
        gates.gates.push(Gate {
            name: name.clone(),
            result: word,
            value: value.and_then(|value| value.as_ref().ok().copied()),
            reference: references.gates.get(name).copied(),
            why: value.and_then(|value| value.as_ref().err().cloned()),
        });
        if word != Word::Ok {
            gates.others.push(format!("{word} {name} {}", said.trim()));
        }
    }
    gates.text = lines.join("\n");
    gates
}

/// What came of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Ok,
    Failed,
    Skipped,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
        })
    }
}

/// What is said of a gate.
fn verdict(reference: Option<&Reference>, found: Option<&Result<f64, String>>) -> (Word, String) {
    match (reference, found) {
        (_, Some(Err(why))) => (Word::Skipped, why.clone()),
        (Some(reference), Some(Ok(value))) => {
            let word = match *value <= reference.most {
                true => Word::Ok,
                false => Word::Failed,
            };
            let Reference { value: usual, most } = reference;
            let said = format!("{value:>12.3}, reference {usual:.3}, at most {most:.3}");
            (word, said)
        }
        (None, Some(Ok(value))) => (
            Word::Failed,
            format!("{value:>12.3}, and there is no reference"),
        ),
        (_, None) => (
            Word::Failed,
            "there is a reference, and nothing measures it".to_owned(),
        ),
    }
}

/// How much more than now passes.
pub(super) fn reference(name: &str, value: f64) -> Reference {
    let most = match name.split('/').next() {
        // The seeds of hashes differ from run to run, and how busy the machine is.
        Some("instructions") => self::most(value),
        // A table that grows late.
        Some("allocations") => 0.001,
        _ => value * 1.05,
    };
    Reference {
        value: round(value),
        most: round(most),
    }
}

/// The most instructions an item that pass, where there were so many.
pub(super) fn most(value: f64) -> f64 {
    value * 1.05 + 0.2
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_fails_above_its_bound_and_where_one_side_is_missing() {
        let references = References {
            toolchain: String::new(),
            gates: [
                (
                    "instructions/fused".to_owned(),
                    reference("instructions/fused", 10.0),
                ),
                ("size/text".to_owned(), reference("size/text", 1000.0)),
            ]
            .into(),
        };
        let check = |name: &str, value: Result<f64, String>, expect: usize| {
            let mut found: Found = [
                ("instructions/fused".to_owned(), Ok(10.0)),
                ("size/text".to_owned(), Ok(1000.0)),
            ]
            .into();
            found.insert(name.to_owned(), value);
            let gates = table(&references, &found);
            assert_eq!(gates.failed, expect, "{}", gates.text);
            assert_eq!(
                gates.skipped,
                usize::from(found.values().any(Result::is_err))
            );
        };
        check("size/text", Ok(1000.0), 0);
        check("size/text", Ok(1051.0), 1);
        check("instructions/fused", Ok(10.8), 1);
        check("instructions/fused", Ok(5.0), 0);
        check(
            "instructions/fused",
            Err("valgrind is not installed".to_owned()),
            0,
        );
        check("instructions/other", Ok(1.0), 1);
        let missing = table(&references, &Found::new());
        let why = "there is a reference, and nothing measures it";
        assert_eq!(
            missing.others,
            [
                format!("FAILED instructions/fused {why}"),
                format!("FAILED size/text {why}")
            ]
        );
        assert_eq!((missing.passed, missing.failed), (0, 2));
    }
}
