//! A probe as text for terminals.

use std::fmt;

use super::{
    judge,
    result::{Measurement, Outcome, Probe, Rating},
};

const COLUMNS: [&str; 6] = ["samples", "least", "median", "p99", "p99.9", "most"];
const WIDTH: usize = 12;

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.measurements.iter().flat_map(|one| &one.rows);
        let names = rows.map(|row| row.name.chars().count()).max().unwrap_or(0);
        write!(f, "{:names$}    ", "")?;
        for column in COLUMNS {
            write!(f, "{column:>WIDTH$}")?;
        }
        writeln!(f)?;
        for measurement in &self.measurements {
            write_one(f, measurement, names)?;
        }
        if let Some(grade) = judge::grade(self) {
            writeln!(f, "\ngrade {grade}")?;
        }
        write!(f, "floor {}", judge::floor_line(self))
    }
}

fn write_one(f: &mut fmt::Formatter<'_>, one: &Measurement, names: usize) -> fmt::Result {
    let Measurement {
        id, title, outcome, ..
    } = one;
    if let Outcome::Skipped(why) = outcome {
        return writeln!(f, "SKIP {id} {title}: {why}");
    }
    writeln!(f, "{} {id} {title}", one.rating.word())?;
    for row in &one.rows {
        let pad = names - row.name.chars().count();
        write!(f, "    {}{:pad$}{:>WIDTH$}", row.name, "", row.summary.n)?;
        for number in row.written("-") {
            write!(f, " {number:>0$}", WIDTH - 1)?;
        }
        writeln!(f)?;
    }
    for note in &one.notes {
        writeln!(f, "    {note}")?;
    }
    Ok(())
}

impl Rating {
    /// As it stands in front of a result.
    pub fn word(self) -> &'static str {
        match self {
            Rating::Pass => "PASS",
            Rating::Info => "INFO",
            Rating::Warn => "WARN",
            Rating::Fail => "FAIL",
        }
    }
}
