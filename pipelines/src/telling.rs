//! What the command lines of all pipelines say when a run has ended or did not begin, and with what they exit.
//!
//! Exit codes: 0 is fine, 1 a failed run, 2 a mistake on the command line, 4 a run that was asked to end and was not over in time.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use pipewright::Health;

use crate::{ending::Ending, starting::Refusal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const LATE: u8 = 4;

/// Where a summary goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// Standard output.
    Stdout,
    /// Standard error, because standard output holds something else.
    Stderr,
}

/// What came of a run, for people.
#[derive(Debug)]
pub struct Told<'a> {
    /// What is known of any run.
    pub ending: &'a Ending,
    /// Tables, or one JSON object.
    pub summary: String,
    /// Where the summary goes.
    pub out: Out,
    /// What the pipeline itself has to say, whole lines.
    pub notes: Vec<String>,
    /// Whether the run did its work.
    pub is_good: bool,
    /// What it failed of, besides the problems of the run itself.
    pub reasons: Vec<String>,
}

impl Told<'_> {
    /// Tells it, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        for retuning in &self.ending.retunings {
            say(&format!("tuning: {retuning}"));
        }
        if let Health::Degraded(_) = self.ending.health {
            say(&self.ending.health.to_string());
        }
        self.notes.iter().for_each(|note| say(note));
        for problem in &self.ending.problems {
            complain(problem);
        }
        match self.write_summary() {
            // Whoever reads has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                fail(&format!("cannot write the summary: {error}"))
            }
            _ if self.is_good => ExitCode::SUCCESS,
            _ if self.ending.is_late => complain_with(&self.verdict(), LATE),
            _ => fail(&self.verdict()),
        }
    }

    fn write_summary(&self) -> io::Result<()> {
        let text = self.summary.trim_end();
        match self.out {
            Out::Stdout => writeln!(io::stdout(), "{text}"),
            Out::Stderr => writeln!(io::stderr(), "{text}"),
        }
    }

    fn verdict(&self) -> String {
        let mut reasons = self.reasons.join("; ");
        if !self.ending.problems.is_empty() {
            let apart = if reasons.is_empty() { "" } else { "; " };
            reasons += apart;
            reasons += "the pipeline itself went wrong, and its counts are not complete";
        }
        if reasons.is_empty() {
            return "the run failed".to_owned();
        }
        format!("the run failed: {reasons}")
    }
}

/// Tells why there was no run.
pub fn refuse(failure: &impl Refusal) -> ExitCode {
    let message = failure.to_string();
    let message = message.trim_end();
    if failure.is_rendered() {
        say(message);
    } else {
        complain(message);
    }
    ExitCode::from(if failure.is_usage() { USAGE } else { FAILED })
}

/// Tells of something that failed.
pub fn fail(message: &str) -> ExitCode {
    complain_with(message, FAILED)
}

/// Tells of a mistake on the command line.
pub fn fail_usage(message: &str) -> ExitCode {
    complain_with(message, USAGE)
}

fn complain_with(message: &str, code: u8) -> ExitCode {
    complain(message);
    ExitCode::from(code)
}

fn complain(message: &str) {
    say(&error(message));
}

/// The line of an error.
pub fn error(message: &str) -> String {
    format!("error: {message}")
}

/// Says a line on standard error. If that is closed, there is nobody to tell.
pub fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
