//! What differs between two results: of two machines, or of one machine at two times.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use serde::Serialize;

use crate::{
    check::Checked,
    saved::{Figure, Saved},
};

/// Figures that differ by less are the same, in per cent: no two measurements are equal.
pub const SAME_PCT: f64 = 5.0;

/// What differs; empty if nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What the machine is, and what it was checked for.
    pub machine: Vec<String>,
    /// What was checked.
    pub checks: Vec<String>,
    /// What was measured.
    pub figures: Vec<String>,
}

impl Diff {
    /// Of two results.
    pub fn of(a: &Saved, b: &Saved) -> Self {
        let mut machine = machines(&a.machine, &b.machine);
        let profile = |saved: &Saved| saved.profile.map(|profile| profile.to_string());
        differs(
            &mut machine,
            "profile",
            profile(a).as_ref(),
            profile(b).as_ref(),
        );
        differs(&mut machine, "version", Some(&a.version), Some(&b.version));
        Self {
            machine,
            checks: checks(&a.checks, &b.checks),
            figures: figures(a, b),
        }
    }

    /// Does nothing differ?
    pub fn is_empty(&self) -> bool {
        self.machine.is_empty() && self.checks.is_empty() && self.figures.is_empty()
    }

    /// It as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let parts = [
            ("machine", &self.machine),
            ("checks", &self.checks),
            ("figures", &self.figures),
        ];
        for (name, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = writeln!(text, "{name}");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        match text.is_empty() {
            true => "nothing differs\n".to_owned(),
            false => text,
        }
    }
}

/// It as JSON.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)?;
        f.write_str("\n")
    }
}

/// What two machines differ in, such as `kernel: 6.1 -> 6.2`; what one of them does not tell differs too.
pub fn machines(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        differs(&mut lines, name, a.get(name), b.get(name));
    }
    lines
}

/// `kernel: 6.1 -> 6.2`.
fn differs(lines: &mut Vec<String>, name: &str, a: Option<&String>, b: Option<&String>) {
    let shown = |value: Option<&String>| value.map_or("unknown".to_owned(), Clone::clone);
    if a != b {
        lines.push(format!("{name}: {} -> {}", shown(a), shown(b)));
    }
}

/// The checks that came out otherwise, or found something else.
fn checks(a: &[Checked], b: &[Checked]) -> Vec<String> {
    let find = |all: &[Checked], id: &str| all.iter().find(|one| one.id == id).cloned();
    let ids: BTreeSet<&str> = a.iter().chain(b).map(|one| one.id.as_str()).collect();
    let mut lines = Vec::new();
    for id in ids {
        match (find(a, id), find(b, id)) {
            (Some(a), Some(b)) if (a.status, &a.current) == (b.status, &b.current) => {}
            (Some(a), Some(b)) => {
                let (from, to) = (a.status, b.status);
                let status = if from == to {
                    format!("{to}")
                } else {
                    format!("{from} -> {to}")
                };
                lines.push(format!(
                    "{id} {}: {status}: {} -> {}",
                    b.title, a.current, b.current
                ));
            }
            (one, other) => {
                let which = if one.is_some() { "first" } else { "second" };
                let title = one.or(other).map_or(String::new(), |one| one.title);
                lines.push(format!("{id} {title}: only in the {which}"));
            }
        }
    }
    lines
}

fn figures(a: &Saved, b: &Saved) -> Vec<String> {
    let names: BTreeSet<&String> = a.figures.keys().chain(b.figures.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| figure(name, a.figures.get(name), b.figures.get(name)))
        .collect()
}

/// `A7 cpu 2 to 3: 48 ns -> 97 ns, 2.02 times`.
fn figure(name: &str, a: Option<&Figure>, b: Option<&Figure>) -> Option<String> {
    let shown = |figure: &Figure| format!("{:.4} {}", figure.value, figure.unit);
    match (a, b) {
        (Some(a), Some(b)) if a.unit == b.unit => {
            let ratio = b.value / a.value;
            let same = a.value == b.value || (ratio - 1.0).abs() * 100.0 < SAME_PCT;
            let times = if ratio.is_finite() {
                format!(", {ratio:.2} times")
            } else {
                String::new()
            };
            (!same).then(|| format!("{name}: {} -> {}{times}", shown(a), shown(b)))
        }
        (Some(a), Some(b)) => Some(format!("{name}: {} -> {}", shown(a), shown(b))),
        (Some(_), None) => Some(format!("{name}: only in the first")),
        (None, Some(_)) => Some(format!("{name}: only in the second")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::Kind;

    fn saved(kernel: &str, figures: &[(&str, f64, &str)]) -> Saved {
        let machine = BTreeMap::from([("kernel".to_owned(), kernel.to_owned())]);
        let mut saved = Saved::new(Kind::Probe, machine);
        for (name, value, unit) in figures {
            let (value, unit) = (*value, (*unit).to_owned());
            saved
                .figures
                .insert((*name).to_owned(), Figure { value, unit });
        }
        saved
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let a = saved(
            "6.1",
            &[
                ("A1 clock", 20.0, "ns"),
                ("A7 0 to 1", 48.0, "ns"),
                ("A9", 0.0, "GB/s"),
            ],
        );
        let b = saved(
            "6.2",
            &[
                ("A1 clock", 20.9, "ns"),
                ("A7 0 to 1", 97.0, "ns"),
                ("A9", 3.0, "GB/s"),
                ("A10", 3.0, "GHz"),
            ],
        );
        let expect = "machine\n  kernel: 6.1 -> 6.2\nfigures\n  A10: only in the second\n  A7 0 to 1: 48.0000 ns -> 97.0000 ns, 2.02 times\n  A9: 0.0000 GB/s -> 3.0000 GB/s\n";
        assert_eq!(Diff::of(&a, &b).text(), expect);
        assert!(Diff::of(&a, &a).is_empty());
        assert_eq!(Diff::of(&a, &a).text(), "nothing differs\n");
    }

    #[test]
    fn a_check_that_comes_out_otherwise_is_named() {
        let one = |status, current: &str| Checked {
            id: "F01".to_owned(),
            group: "frequency, power, heat".to_owned(),
            title: "governor".to_owned(),
            status,
            reason: None,
            current: current.to_owned(),
            expected: "performance".to_owned(),
            why: "others are slow".to_owned(),
            details: Vec::new(),
            affects: Vec::new(),
            fix: None,
            evidence: Vec::new(),
        };
        use crate::check::Status::{Pass, Warn};
        let check =
            |a: &[Checked], b: &[Checked], expect: &[&str]| assert_eq!(checks(a, b), expect);
        check(&[one(Pass, "x")], &[one(Pass, "x")], &[]);
        check(
            &[one(Warn, "powersave")],
            &[one(Pass, "performance")],
            &["F01 governor: warn -> pass: powersave -> performance"],
        );
        check(
            &[one(Warn, "a")],
            &[one(Warn, "b")],
            &["F01 governor: warn: a -> b"],
        );
        check(&[one(Pass, "x")], &[], &["F01 governor: only in the first"]);
    }
}
