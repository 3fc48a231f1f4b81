//! How budgets are shown: a line each, or JSON.

use std::fs;

use serde::Serialize;

use super::{Bound, Budget, Reading, Spread, Verdict, judge};

/// A budget with what came of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The budget.
    pub budget: Budget,
    /// Is it met?
    pub verdict: Verdict,
    /// What was measured.
    pub spread: Option<Spread>,
    /// Why there is no figure.
    pub why: &'static str,
}

impl Row {
    /// Judges a budget by what was measured.
    pub fn new(budget: Budget, readings: &[Reading]) -> Self {
        let reading = readings.iter().find(|reading| reading.key == budget.key);
        let (verdict, spread) = judge(budget.bound, reading);
        let why = match (budget.bound, reading.map(|reading| &reading.values)) {
            (Bound::NotBuilt(what), _) => what,
            (_, Some(Err(why))) => why,
            (_, None) => "nothing was measured",
            _ => "",
        };
        Self {
            budget,
            verdict,
            spread,
            why,
        }
    }
}

/// Above the rows.
pub fn print_head() {
    println!(
        "{:<18} {:>10} {:<24} {:>12}  {:<9}",
        "budget", "median", "[least - greatest]", "bound", ""
    );
}

/// One line.
pub fn print_row(row: &Row) {
    let Budget {
        key, what, unit, ..
    } = row.budget;
    let (median, spread) = match row.spread {
        Some(Spread {
            median,
            least,
            greatest,
        }) => (
            short(median),
            format!("[{} - {}] {unit}", short(least), short(greatest)),
        ),
        None => (String::new(), row.why.to_owned()),
    };
    println!(
        "{key:<18} {median:>10} {spread:<24} {:>12}  {:<9}  {what}",
        bound(&row.budget),
        row.verdict.word()
    );
}

fn bound(budget: &Budget) -> String {
    let unit = budget.unit;
    let of = |sign: &str, value: f64| {
        format!("{sign} {} {unit}", short(value))
            .trim_end()
            .to_owned()
    };
    match budget.bound {
        Bound::AtMost(most) => of("<=", most),
        Bound::Below(most) => of("<", most),
        Bound::AtLeast(least) => of(">=", least),
        Bound::Above(least) => of(">", least),
        Bound::Shown | Bound::NotBuilt(_) => String::new(),
    }
}

/// With about four digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The machine that the figures are of.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cpus that the process may use.
    pub cpus: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// The one that this runs on, as far as it tells.
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: name.map_or_else(
                || "not known".to_owned(),
                |(_, name)| name.trim().to_owned(),
            ),
            cpus: pipewright::machine::Machine::read().usable().count(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

#[derive(Serialize)]
struct File<'a> {
    machine: &'a Machine,
    rounds: usize,
    quick: bool,
    budgets: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    what: &'a str,
    unit: &'a str,
    bound: String,
    verdict: &'a str,
    median: Option<f64>,
    least: Option<f64>,
    greatest: Option<f64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
}

/// All rows, for programs.
///
/// # Errors
///
/// If they cannot be written as JSON.
pub fn json(
    machine: &Machine,
    rounds: usize,
    quick: bool,
    rows: &[Row],
) -> serde_json::Result<String> {
    let line = |row: &Row| Line {
        key: row.budget.key,
        what: row.budget.what,
        unit: row.budget.unit,
        bound: bound(&row.budget),
        verdict: match row.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Shown => "shown",
            Verdict::NotBuilt => "not built",
            Verdict::NotKnown => "not known",
        },
        median: row.spread.map(|spread| spread.median),
        least: row.spread.map(|spread| spread.least),
        greatest: row.spread.map(|spread| spread.greatest),
        why: row.why,
    };
    serde_json::to_string_pretty(&File {
        machine,
        rounds,
        quick,
        budgets: rows.iter().map(line).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budgets::TABLE;

    #[test]
    fn figures_have_about_four_digits() {
        let check = |value: f64, expect: &str| assert_eq!(short(value), expect);
        check(0.1234, "0.123");
        check(12.345, "12.35");
        check(123.45, "123.5");
        check(1234.5, "1234");
        check(45.0, "45");
        check(-0.25, "-0.250");
    }

    #[test]
    fn a_budget_that_is_not_built_says_what_is_missing() {
        let call = TABLE
            .iter()
            .find(|budget| budget.key == "B13.guest")
            .expect("a budget");
        let row = Row::new(*call, &[]);
        assert_eq!(
            (row.verdict, row.why),
            (Verdict::NotBuilt, "a caller that works")
        );
    }

    #[test]
    fn programs_can_read_the_rows() {
        let budget = TABLE
            .iter()
            .find(|budget| budget.key == "B7")
            .expect("a budget");
        let readings = [Reading::new("B7", vec![30.0])];
        let machine = Machine::here();
        let text = json(&machine, 1, true, &[Row::new(*budget, &readings)])
            .expect("no value is out of range");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["budgets"][0]["verdict"], "missed");
        assert_eq!(read["budgets"][0]["bound"], "<= 20 ns");
        assert_eq!(read["budgets"][0]["median"], 30.0);
    }
}
