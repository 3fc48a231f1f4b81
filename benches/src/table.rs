//! Tables in Markdown.

use std::fmt::Write;

use super::measure::{Estimate, Measured};

/// One table: a title, a head, rows.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str, head: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            head: head.iter().copied().map(str::to_owned).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One for single calls, with a row for each of these.
    pub fn of_calls(title: &str, all: &[Measured]) -> Self {
        let head = [
            "",
            "a call, on average [95 %]",
            "calls a second",
            "p50",
            "p95",
            "p99",
        ];
        let mut table = Self::new(title, &head);
        for one in all {
            let per_call = one.per_call();
            table.row([
                one.name.clone(),
                time_of(&per_call),
                number(1e9 / per_call.value),
                time(one.percentile(50.0) as f64),
                time(one.percentile(95.0) as f64),
                time(one.percentile(99.0) as f64),
            ]);
        }
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a sentence that stands below the rows.
    pub fn note(&mut self, sentence: &str) {
        self.notes.push(sentence.to_owned());
    }

    /// In Markdown, its columns aligned.
    pub fn markdown(&self) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&self.head]);
            cells
                .filter_map(|row| Some(row.get(at)?.chars().count()))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = String::from("|");
            for (at, width) in widths.iter().enumerate() {
                let cell = cells.get(at).map_or("", String::as_str);
                // Writing to a string does not fail.
                let _ = match at {
                    0 => write!(text, " {cell:<width$} |"),
                    _ => write!(text, " {cell:>width$} |"),
                };
            }
            text
        };
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut text = format!(
            "### {}\n\n{}\n{}\n",
            self.title,
            line(&self.head),
            line(&rule)
        );
        for row in &self.rows {
            text.push_str(&line(row));
            text.push('\n');
        }
        for note in &self.notes {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

/// Nanoseconds, in the unit that fits.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns.is_nan() => "-".to_owned(),
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// Nanoseconds with their interval.
pub fn time_of(estimate: &Estimate) -> String {
    with_interval(estimate, time)
}

/// A ratio with its interval.
pub fn ratio_of(estimate: &Estimate) -> String {
    with_interval(estimate, |ratio| format!("{ratio:.2}x"))
}

fn with_interval(estimate: &Estimate, show: impl Fn(f64) -> String) -> String {
    let value = show(estimate.value);
    match estimate.interval {
        Some((low, high)) => format!("{value} [{} - {}]", show(low), show(high)),
        None => format!("{value} [too few rounds]"),
    }
}

/// A number with its thousands apart.
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 && digits != "0" {
        "-"
    } else {
        ""
    });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_thousands_apart_whatever_its_sign() {
        let check = |value: f64, expect: &str| assert_eq!(number(value), expect);
        check(0.0, "0");
        check(-0.4, "0");
        check(704.0, "704");
        check(-704.0, "-704");
        check(1_234_567.0, "1,234,567");
        check(-1_276.0, "-1,276");
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new("Title", &["", "time"]);
        table.row(["get".to_owned(), time(41.4)]);
        table.row(["a long name".to_owned(), time(12_345.0)]);
        let expect = "### Title\n\n|             |    time |\n| ----------- | ------- |\n| get         |   41 ns |\n| a long name | 12.3 us |\n";
        assert_eq!(table.markdown(), expect);
        table.note("One.");
        table.note("Two.");
        assert_eq!(table.markdown(), format!("{expect}\nOne.\n\nTwo.\n"));
    }

    #[test]
    fn numbers_have_their_unit() {
        let times = [0.4, 999.0, 1e3, 1.5e6, 2e9, f64::NAN].map(time);
        assert_eq!(
            times,
            ["0 ns", "999 ns", "1.0 us", "1.50 ms", "2.00 s", "-"]
        );
        assert_eq!(
            [1.0, 999.0, 1e3, 1_234_567.0].map(number),
            ["1", "999", "1,000", "1,234,567"]
        );
    }
}
