//! What came of a selftest: a table for the terminal, and the page of figures.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{Code, Machine, Notes, Part, Rates, rates};
use crate::{guards::Reason, stats::binomial_interval};

/// What came of each part.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(rename = "parts")]
    rows: Vec<Row>,
    /// How many trials did not count, by the reason.
    disturbed: BTreeMap<Reason, usize>,
    /// How long all tests took.
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    part: Part,
    is_good: bool,
    said: String,
    /// Of comparisons.
    rates: Option<Rates>,
}

impl Outcome {
    pub(super) fn of(parts: &[Part], notes: &Notes, short: bool) -> Self {
        let tested = parts
            .iter()
            .filter(|part| part.wanted(short) > 0 || part.tried(notes) > 0);
        let mut disturbed = BTreeMap::new();
        for part in parts {
            for (reason, times) in notes.compared(*part).iter().flat_map(|one| &one.disturbed) {
                *disturbed.entry(*reason).or_default() += times;
            }
        }
        let of = |note: &&super::notes::Note| parts.contains(&note.part);
        Self {
            rows: tested.map(|part| Row::of(*part, notes, short)).collect(),
            disturbed,
            seconds: notes.all().iter().filter(of).map(|note| note.seconds).sum(),
        }
    }

    pub(super) fn failed(&self) -> usize {
        self.rows.iter().filter(|row| !row.is_good).count()
    }

    /// A table of what was planted and found.
    pub(super) fn table(&self) -> String {
        let mut text = "| part | what came of it | |\n|---|---|---|".to_owned();
        for row in &self.rows {
            let Row {
                part,
                is_good,
                said,
                ..
            } = row;
            let word = if *is_good { "ok" } else { "FAILED" };
            let _ = write!(text, "\n| {} | {said} | {word} |", part.name());
        }
        text
    }

    /// Everything, in Markdown.
    pub(super) fn page(&self, code: &Code, machine: &Machine) -> String {
        let mut text = String::from(
            "# How good the verdicts are\n\nWritten by `cargo xtask bench selftest`, which measures all of it again.\n\n",
        );
        text.push_str(&self.head(code, machine));
        let _ = write!(
            text,
            "\n\n## What was planted, and what was found\n\n{}\n",
            self.table()
        );
        text.push_str(&self.comparisons());
        text
    }

    fn head(&self, code: &Code, machine: &Machine) -> String {
        let field = |name: &str| machine.fields.get(name).map_or("unknown", String::as_str);
        let guest = match field("hypervisor") {
            "true" => ", a guest",
            _ => "",
        };
        let dirty = match code.dirty {
            true => ", with changes that are not committed",
            false => "",
        };
        let verdict = match self.failed() {
            0 => "everything is as it should be".to_owned(),
            1 => "one part FAILED".to_owned(),
            n => format!("{n} parts FAILED"),
        };
        [
            format!("* **Verdict**: {verdict}"),
            format!("* **Commit**: {}{dirty}", code.revision),
            format!(
                "* **Machine**: {}{guest}, cpus {}, Linux {}; class `{}`",
                field("cpu_model"),
                field("cpus_allowed"),
                field("kernel"),
                machine.class
            ),
            format!(
                "* **When**: {}, in {:.0} minutes",
                jiff::Timestamp::now().strftime("%Y-%m-%d"),
                (self.seconds / 60.0).ceil()
            ),
        ]
        .join("\n")
    }

    /// The rates of verdicts.
    fn comparisons(&self) -> String {
        let rates: Vec<(Part, &Rates)> = self
            .rows
            .iter()
            .filter_map(|row| Some((row.part, row.rates.as_ref()?)))
            .collect();
        if rates.is_empty() {
            return String::new();
        }
        let [warm, measured] = rates::trial_ms(false);
        let mut text = format!(
            "\n## Comparisons\n\nEach compares `{}` with itself in {} blocks of four processes, {warm} ms to warm up and {measured} ms \
             that count. *Slower* is what was planted in the stage `price` and, as the middle of all estimates, what it does to the \
             pipeline; the *claim* is the middle of the minimal detectable effects that the comparisons print. *Found* are verdicts of \
             any difference, with the exact interval of 95 % for their rate, and verdicts beyond the band of 3 %. *Asked* are those \
             whose own claim is two thirds of the effect or less: the effect is 1.5 times what they claim to find, or more.\n\n\
             | part | stage slower | pipeline slower | claim | judged | refused | found | with the band | found of those asked |\n\
             |---|---|---|---|---|---|---|---|---|\n",
            rates::SCENARIO,
            rates::BLOCKS,
        );
        for (part, rates) in &rates {
            // Of the same binary every verdict is a false one.
            let count = |both: [usize; 2]| match *part {
                Part::Same => both[0] + both[1],
                _ => both[0],
            };
            let (strict, banded) = (count(rates.strict), count(rates.banded));
            let interval = binomial_interval(rates.judged(), strict, 0.95)
                .map_or_else(String::new, |[low, high]| {
                    format!(" [{:.1}, {:.1}]", 100.0 * low, 100.0 * high)
                });
            let asked = match (*part, rates.asked) {
                (Part::Same, _) | (_, [0, _]) => "-".to_owned(),
                (_, [asked, found]) => format!(
                    "{found} of {asked}: {:.1} %",
                    100.0 * found as f64 / asked as f64
                ),
            };
            let _ = writeln!(
                text,
                "| {} | {:.1} % | {:+.1} % | {:.1} % | {} | {} | {strict}: {:.1} %{interval} | {banded}: {:.1} % | {asked} |",
                part.name(),
                rates.percent,
                100.0 * rates.estimate,
                100.0 * rates.mde,
                rates.judged(),
                rates.refused,
                100.0 * rates.share(strict),
                100.0 * rates.share(banded),
            );
        }
        let disturbed: Vec<String> = self
            .disturbed
            .iter()
            .map(|(reason, times)| format!("{} {times}", reason.name()))
            .collect();
        let _ = write!(
            text,
            "\nWhat has to be: of `same` at least 200 are judged, and at most 5 % of them found; of those asked at least 95 % find it. Trials that were disturbed and measured again: {}.\n",
            match disturbed.is_empty() {
                true => "none".to_owned(),
                false => disturbed.join(", "),
            }
        );
        text
    }
}

impl Row {
    fn of(part: Part, notes: &Notes, short: bool) -> Self {
        if part.is_comparison() {
            let rates = Rates::of(&notes.compared(part));
            return Self {
                part,
                is_good: match part {
                    Part::Claim => rates.is_found(part.wanted(short), short),
                    _ => rates.is_good(part.wanted(short), short),
                },
                said: rates.said(),
                rates: Some(rates),
            };
        }
        let all = notes.found(part);
        let is_good = all.len() >= part.wanted(short) && all.iter().all(|one| one.found);
        // Where one failed, that one is told.
        let worst = all.iter().find(|one| !one.found).or(all.first());
        let said = worst.map_or("not tested", |one| one.said.as_str());
        Self {
            part,
            is_good,
            said: match part.wanted(short) {
                0 | 1 => said.to_owned(),
                _ => format!("{} times: {said}", all.len()),
            },
            rates: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::{
        super::{notes::What, plants::Found, rates::Compared},
        *,
    };

    /// The notes of a folder that goes with them.
    fn notes(all: Vec<(Part, What)>) -> (tempfile::TempDir, Notes) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        let mut notes = Notes::read(path, String::new(), false).expect("none is none");
        for (part, what) in all {
            notes.add(part, 2.0, what).expect("a note");
        }
        (folder, notes)
    }

    fn found(found: bool) -> What {
        What::Found(Found {
            found,
            said: "said".to_owned(),
        })
    }

    fn compared(percent: f64, estimate: f64, word: &str) -> What {
        What::Compared(Compared {
            percent,
            estimate,
            mde: Some(0.04),
            strict: word.to_owned(),
            banded: word.to_owned(),
            disturbed: [(Reason::Steal, 1)].into(),
            ..Compared::default()
        })
    }

    #[test]
    fn a_part_that_was_not_found_or_not_tested_fails() {
        let check = |all: Vec<(Part, What)>, parts: &[Part], expect: usize| {
            let (_folder, notes) = notes(all);
            let outcome = Outcome::of(parts, &notes, true);
            assert_eq!(outcome.failed(), expect, "{}", outcome.table());
        };
        let two = [Part::Leak, Part::Stall];
        check(
            vec![(Part::Leak, found(true)), (Part::Stall, found(true))],
            &two,
            0,
        );
        check(
            vec![(Part::Leak, found(true)), (Part::Stall, found(false))],
            &two,
            1,
        );
        check(vec![(Part::Leak, found(true))], &two, 1);
        let gates = vec![(Part::Gates, found(true)), (Part::Gates, found(false))];
        check(gates, &[Part::Gates], 1);
    }

    #[test]
    fn the_page_has_the_rates_the_machine_and_the_verdict() {
        let mut all: Vec<(Part, What)> = (0..200)
            .map(|at| {
                let word = if at < 8 { "improved" } else { "inconclusive" };
                (Part::Same, compared(0.0, 0.0, word))
            })
            .collect();
        all.extend((0..60).map(|_| (Part::Claim, compared(7.5, 0.0601, "regressed"))));
        all.push((Part::Leak, found(true)));
        let (_folder, notes) = notes(all);
        let parts = [Part::Leak, Part::Same, Part::Claim];
        let outcome = Outcome::of(&parts, &notes, false);
        let machine = Machine {
            class: "c".to_owned(),
            fields: [("cpu_model".to_owned(), "Fast 9000".to_owned())].into(),
        };
        let code = Code {
            revision: "abc".to_owned(),
            dirty: false,
            ..Code::default()
        };
        let page = outcome.page(&code, &machine);
        for expect in [
            "* **Verdict**: everything is as it should be",
            "* **Commit**: abc\n",
            "Fast 9000",
            "in 9 minutes",
            "| leak | said | ok |",
            "| same | 0.0 % | +0.0 % | 4.0 % | 200 | 0 | 8: 4.0 % [1.7, 7.7] | 8: 4.0 % | - |",
            "| claim | 7.5 % | +6.0 % | 4.0 % | 60 | 0 | 60: 100.0 % [94.0, 100.0] | 60: 100.0 % | 60 of 60: 100.0 % |",
            "measured again: steal 260.",
        ] {
            assert!(page.contains(expect), "`{expect}` is missing in\n{page}");
        }
    }

    #[test]
    fn every_part_has_a_row_of_a_full_selftest() {
        let (_folder, notes) = notes(vec![]);
        let outcome = Outcome::of(Part::value_variants(), &notes, false);
        assert_eq!(outcome.failed(), Part::value_variants().len());
    }
}
