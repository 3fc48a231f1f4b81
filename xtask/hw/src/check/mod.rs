//! What a check is, and what comes of it.
//!
//! The tables (`table/*.ron`) say of each check what it reads, when it passes, how much it matters, why, and what to do; the
//! functions in `checks/` look. A function answers with a `Finding` or with why there is none, and knows nothing of grades:
//! how bad it is depends on the profile, and is looked up in the table.
//!
//! What could not be read never passes: it is skipped where the machine does not have it or does not show it, and unknown
//! where it is there and makes no sense.

mod look;
mod run;
mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use look::Look;
pub(crate) use run::usual_fix;
pub use run::{Selection, check};
pub use table::{Check, Fix, FixKind, Write, checks, find};

/// What the machine is for: it decides how much a check matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Writing code.
    #[default]
    Dev,
    /// Running tests.
    Ci,
    /// Measuring: what can be repeated.
    Bench,
    /// Running for throughput.
    Prod,
    /// Running for latency.
    Realtime,
}

impl Profile {
    /// All of them, in the order of the grades in the table.
    pub const ALL: [Self; 5] = [Self::Dev, Self::Ci, Self::Bench, Self::Prod, Self::Realtime];

    /// Its name: `realtime`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Ci => "ci",
            Self::Bench => "bench",
            Self::Prod => "prod",
            Self::Realtime => "realtime",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad it is that a check does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// The profile does not look.
    Off,
    /// Worth knowing.
    Info,
    /// It costs something.
    Warn,
    /// What is asked for is not to be had.
    Fail,
}

/// What came of a check, the worst last but one: what is not known may be worse than a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Pass,
    /// There is nothing to look at here, see [`Checked::reason`].
    Skip,
    /// Not a matter of good or bad, or one that does not matter for the profile.
    Info,
    /// It is there and makes no sense.
    Unknown,
    /// It costs something.
    Warn,
    /// What is asked for is not to be had.
    Fail,
}

impl Status {
    /// All of them, the worst first.
    pub const WORST_FIRST: [Self; 6] = [
        Self::Fail,
        Self::Warn,
        Self::Unknown,
        Self::Info,
        Self::Skip,
        Self::Pass,
    ];

    /// Its name: `pass`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Info => "info",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why there is nothing to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The check is for Linux.
    NotLinux,
    /// The hypervisor hides it.
    Guest,
    /// The container hides it.
    Container,
    /// The kernel, its configuration or its drivers do not have it.
    NotPresent,
    /// This process may not read it.
    NoPermission,
    /// No pipeline asks for it.
    NotDeclared,
    /// The profile, `--only` or `--skip` leaves it out.
    NotSelected,
    /// It has to be measured first, by `hw probe` or over some seconds.
    NotMeasured,
}

impl Reason {
    /// In words, behind a count: `guest`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotLinux => "not linux",
            Self::Guest => "guest",
            Self::Container => "container",
            Self::NotPresent => "not present",
            Self::NoPermission => "no permission",
            Self::NotDeclared => "not declared",
            Self::NotSelected => "not selected",
            Self::NotMeasured => "not measured",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What there is, in a few words.
    pub(crate) current: String,
    /// More, one line each.
    pub(crate) details: Vec<String>,
    /// The stages that it is about.
    pub(crate) affects: Vec<String>,
    /// What to write or do, where that depends on what was found.
    pub(crate) help: Option<String>,
}

/// Is the criterion met?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Yes.
    Met,
    /// There is none: it is recorded.
    Noted,
    /// No, and the table says how much that matters.
    Unmet,
    /// No, and what is asked for cannot be had at all, for which the table may have other grades.
    Impossible,
}

/// Why there is no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    Skip(Reason, String),
    Unknown(String),
}

/// What a check answers.
pub(crate) type Found = Result<Finding, Without>;

impl Finding {
    pub(crate) fn new(verdict: Verdict, current: impl Into<String>) -> Self {
        Self {
            verdict,
            current: current.into(),
            details: Vec::new(),
            affects: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    pub(crate) fn affects(mut self, stages: impl IntoIterator<Item = String>) -> Self {
        self.affects.extend(stages);
        self.affects.dedup();
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// The criterion is met.
pub(crate) fn met(current: impl Into<String>) -> Found {
    Ok(Finding::new(Verdict::Met, current))
}

/// There is no criterion: this is how it is.
pub(crate) fn noted(current: impl Into<String>) -> Found {
    Ok(Finding::new(Verdict::Noted, current))
}

/// Is the criterion met?
pub(crate) fn test(is_met: bool, current: impl Into<String>) -> Found {
    let verdict = if is_met { Verdict::Met } else { Verdict::Unmet };
    Ok(Finding::new(verdict, current))
}

/// What is asked for cannot be had.
pub(crate) fn impossible(current: impl Into<String>) -> Found {
    Ok(Finding::new(Verdict::Impossible, current))
}

/// There is nothing to look at.
pub(crate) fn skip<T>(reason: Reason, why: impl Into<String>) -> Result<T, Without> {
    Err(Without::Skip(reason, why.into()))
}

/// It is there and makes no sense.
pub(crate) fn unknown<T>(why: impl Into<String>) -> Result<T, Without> {
    Err(Without::Unknown(why.into()))
}

/// One file that a check looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where it was read.
    pub path: String,
    /// What it said, shortened, or why it could not be read.
    pub value: String,
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// The id of the check: `C09`.
    pub id: String,
    /// The name of its group: `cpu and clock`.
    pub group: String,
    /// Its title: `clocksource`.
    pub title: String,
    /// How it came out.
    pub status: Status,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What there is.
    pub current: String,
    /// What there should be.
    pub expected: String,
    /// Why that matters.
    pub why: String,
    /// More about what there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The stages that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
    /// What to do, where something is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// All that came of a check of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkup {
    /// For what.
    pub profile: Profile,
    /// Where: `2 cpus, guest of KVM, container docker`.
    pub place: String,
    /// One for each check, in the order of the table.
    pub checked: Vec<Checked>,
}

impl Checkup {
    /// How many came out like this?
    pub fn count(&self, status: Status) -> usize {
        let like = |checked: &&Checked| checked.status == status;
        self.checked.iter().filter(like).count()
    }
}
