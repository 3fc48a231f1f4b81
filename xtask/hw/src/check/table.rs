//! The table of checks.

use std::sync::OnceLock;

use serde::Deserialize;

use super::{Grade, Profile};
use crate::checks::{self, Run};

/// A check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its id: a letter for its group, and a number.
    pub id: String,
    /// Its name.
    pub title: String,
    /// The files that it reads.
    pub reads: Vec<String>,
    /// When it passes.
    pub pass: String,
    /// How much it matters when it does not, for each profile: `iiwwF`.
    grades: String,
    /// How much it matters when what is asked for cannot be had at all, if that is another matter.
    #[serde(default)]
    impossible: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    #[serde(default)]
    pub fix: Fix,
    /// Do hypervisors hide it from their guests?
    #[serde(default)]
    pub hidden: bool,
    /// Is the value that of the host, also in a container?
    #[serde(default)]
    pub host: bool,
    #[serde(skip)]
    run: Option<Run>,
}

/// What to do where a check does not pass.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fix {
    /// Where it is done.
    pub kind: FixKind,
    /// What can be written while the machine runs.
    pub writes: Vec<Write>,
    /// What to type or to write, in words.
    pub say: String,
    /// What it costs.
    pub risk: String,
}

/// Where a fix is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FixKind {
    /// There is none.
    #[default]
    None,
    /// `sysctl -w`.
    Sysctl,
    /// A file below `/sys`.
    Sysfs,
    /// The kernel's command line.
    Boot,
    /// A unit or its limits.
    Systemd,
    /// The pipeline, its files or its build.
    Code,
    /// The host of a guest or of a container, or its orchestrator.
    Host,
    /// The firmware, or the hardware.
    Bios,
}

impl FixKind {
    /// Its name: `sysctl`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sysctl => "sysctl",
            Self::Sysfs => "sysfs",
            Self::Boot => "boot",
            Self::Systemd => "systemd",
            Self::Code => "code",
            Self::Host => "host",
            Self::Bios => "bios",
        }
    }
}

/// A file that can be written while the machine runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Where; a `*` stands for any name.
    pub path: String,
    /// What; `{others}` is the list of the cpus that no pinned stage has, and `{others mask}` the mask of them.
    pub value: String,
}

impl Check {
    /// How bad it is for a profile that it does not pass.
    pub fn grade(&self, profile: Profile) -> Grade {
        graded(&self.grades, profile)
    }

    /// How bad it is for a profile that what is asked for cannot be had at all: the worst that the check finds.
    pub fn worst(&self, profile: Profile) -> Grade {
        let grades = match self.impossible.as_str() {
            "" => &self.grades,
            other => other,
        };
        graded(grades, profile)
    }

    /// The name of its group.
    pub fn group(&self) -> &'static str {
        match self.id.as_bytes()[0] {
            b'C' => "cpu and clock",
            b'F' => "frequency, power, heat",
            b'S' => "scheduler and isolation",
            b'I' => "interrupts",
            b'M' => "memory",
            b'L' => "limits and control groups",
            b'V' => "virtualisation and neighbours",
            b'B' => "build and process",
            _ => "match with the pipeline",
        }
    }

    pub(super) fn run(&self) -> Run {
        self.run
            .expect("a test sees that each check has a function")
    }
}

/// What stands for a profile in `iiwwF`.
fn graded(grades: &str, profile: Profile) -> Grade {
    match grades.as_bytes()[profile as usize] {
        b'F' => Grade::Fail,
        b'w' => Grade::Warn,
        b'i' => Grade::Info,
        _ => Grade::Off,
    }
}

/// All checks, in the order of their groups.
pub fn checks() -> &'static [Check] {
    static CHECKS: OnceLock<Vec<Check>> = OnceLock::new();
    CHECKS.get_or_init(|| {
        let mut all = Vec::new();
        for text in TABLES {
            let table: Vec<Check> = ron::from_str(text)
                .expect("the table is a part of the program, and a test reads it");
            all.extend(table);
        }
        for check in &mut all {
            check.run = checks::run_of(&check.id);
        }
        all
    })
}

const TABLES: [&str; 5] = [
    include_str!("../../table/cpu.ron"),
    include_str!("../../table/scheduler.ron"),
    include_str!("../../table/memory.ron"),
    include_str!("../../table/process.ron"),
    include_str!("../../table/pipeline.ron"),
];

/// The check with this id, in any case.
pub fn find(id: &str) -> Option<&'static Check> {
    checks()
        .iter()
        .find(|check| check.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the groups have: the static checks, and those that match a pipeline.
    const GROUPS: [(char, usize); 9] = [
        ('C', 11),
        ('F', 10),
        ('S', 18),
        ('I', 5),
        ('M', 17),
        ('L', 13),
        ('V', 8),
        ('B', 10),
        ('P', 25),
    ];

    #[test]
    fn every_check_is_in_the_table_once_and_has_its_function() {
        let expect: Vec<String> = GROUPS
            .iter()
            .flat_map(|(group, n)| (1..=*n).map(move |n| format!("{group}{n:02}")))
            .collect();
        let ids: Vec<&str> = checks().iter().map(|check| check.id.as_str()).collect();
        assert_eq!(ids, expect);
        assert_eq!(ids.iter().filter(|id| !id.starts_with('P')).count(), 92);
        for check in checks() {
            assert!(check.run.is_some(), "{} has no function", check.id);
        }
        assert_eq!(
            checks::all().count(),
            ids.len(),
            "a function without a line"
        );
    }

    #[test]
    fn every_line_of_the_table_is_whole() {
        for check in checks() {
            let Check {
                id,
                grades,
                impossible,
                fix,
                ..
            } = check;
            let known = |grades: &str| {
                grades.len() == 5 && grades.bytes().all(|grade| b"-iwF".contains(&grade))
            };
            assert!(known(grades), "{id}: {grades}");
            assert!(
                impossible.is_empty() || known(impossible),
                "{id}: {impossible}"
            );
            for profile in Profile::ALL {
                let (grade, worst) = (check.grade(profile), check.worst(profile));
                let looks = (grade == Grade::Off) == (worst == Grade::Off);
                assert!(grade <= worst && looks, "{id}: {profile}");
            }
            assert!(
                grades.bytes().any(|grade| grade != b'-'),
                "{id} is never looked at"
            );
            assert!(!check.why.is_empty() && !check.pass.is_empty(), "{id}");
            assert!(!check.reads.is_empty(), "{id} reads nothing");
            assert_eq!(
                fix.kind == FixKind::None,
                fix.say.is_empty() && fix.writes.is_empty(),
                "{id}"
            );
            // What is changed outside of the program costs something; what stands here is only to wait.
            let outside = !matches!(fix.kind, FixKind::None | FixKind::Code);
            assert!(
                !(outside && fix.risk.is_empty()) || id == "F07",
                "{id} says no risk"
            );
            let idle = ["none", "nothing", "known"];
            assert!(
                !idle.iter().any(|word| fix.risk.starts_with(word)),
                "{id}: {}",
                fix.risk
            );
            for Write { path, value } in &fix.writes {
                assert!(
                    path.starts_with("proc/sys/")
                        || path.starts_with("sys/")
                        || path.starts_with("proc/irq/"),
                    "{id}: {path}"
                );
                assert!(!value.is_empty(), "{id}: {path}");
            }
        }
    }
}
