//! How checks look at a machine: what they read is kept as evidence, and what cannot be read says why.

use std::{cell::RefCell, fmt::Display, str::FromStr};

use pipewright::machine::{Machine, kernel};

use super::{Evidence, Profile, Reason, Without, skip, unknown};
use crate::{
    Why,
    declared::Declared,
    floor::Floor,
    host::{Facts, Host, Place, expand},
    thresholds::Thresholds,
};

/// No evidence is longer, in characters.
const MOST_SHOWN: usize = 100;

/// What a check may look at.
pub(crate) struct Look<'a> {
    host: &'a Host,
    pub(crate) machine: &'a Machine,
    pub(crate) place: &'a Place,
    pub(crate) declared: &'a Declared,
    pub(crate) floor: Option<&'a Floor>,
    pub(crate) thresholds: &'a Thresholds,
    pub(crate) profile: Profile,
    seen: RefCell<Vec<Evidence>>,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        (host, machine, place): (&'a Host, &'a Machine, &'a Place),
        (declared, floor): (&'a Declared, Option<&'a Floor>),
        (thresholds, profile): (&'a Thresholds, Profile),
    ) -> Self {
        let seen = RefCell::default();
        Self {
            host,
            machine,
            place,
            declared,
            floor,
            thresholds,
            profile,
            seen,
        }
    }

    pub(crate) fn facts(&self) -> &'a Facts {
        &self.host.facts
    }

    pub(super) fn evidence(self) -> Vec<Evidence> {
        self.seen.into_inner()
    }

    /// Keeps what was seen at a place.
    pub(crate) fn saw(&self, path: impl Display, value: impl Display) {
        let value = value.to_string();
        let line = value.lines().next().unwrap_or_default();
        let mut shown: String = line.chars().take(MOST_SHOWN).collect();
        if shown.len() < value.trim_end().len() {
            shown.push_str(" ..");
        }
        let path = path.to_string();
        let mut seen = self.seen.borrow_mut();
        if !seen.iter().any(|evidence| evidence.path == path) {
            let value = shown;
            seen.push(Evidence { path, value });
        }
    }

    /// What a file says; `None` if there is none.
    pub(crate) fn maybe(&self, path: &str) -> Result<Option<String>, Without> {
        let read = self.host.files.read(path);
        match &read {
            Ok(text) => self.saw(format_args!("/{path}"), text),
            Err(why) => self.saw(format_args!("/{path}"), why),
        }
        match read {
            Ok(text) => Ok(Some(text)),
            Err(Why::Missing) => Ok(None),
            Err(Why::Forbidden) => skip(
                Reason::NoPermission,
                format!("this process may not read `/{path}`"),
            ),
            Err(Why::Failed(why)) => unknown(format!("`/{path}`: {why}")),
        }
    }

    /// What a file says.
    pub(crate) fn text(&self, path: &str) -> Result<String, Without> {
        match self.maybe(path)? {
            Some(text) => Ok(text),
            None => absent(path),
        }
    }

    /// A number.
    pub(crate) fn number<T: FromStr>(&self, path: &str) -> Result<T, Without> {
        let text = self.text(path)?;
        parsed(path, &text)
    }

    /// A number, where there is such a file.
    pub(crate) fn maybe_number<T: FromStr>(&self, path: &str) -> Result<Option<T>, Without> {
        let text = self.maybe(path)?;
        text.map(|text| parsed(path, &text)).transpose()
    }

    /// A list of cpus; `(null)` is an empty one.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<u32>, Without> {
        let text = self.text(path)?;
        match crate::parse::list(&text) {
            Some(list) => Ok(list),
            None => unknown(format!(
                "`/{path}` is not a list of cpus: `{}`",
                short(&text)
            )),
        }
    }

    /// A mask of cpus.
    pub(crate) fn mask(&self, path: &str) -> Result<Vec<u32>, Without> {
        let text = self.text(path)?;
        match crate::parse::mask(&text) {
            Some(list) => Ok(list),
            None => unknown(format!(
                "`/{path}` is not a mask of cpus: `{}`",
                short(&text)
            )),
        }
    }

    /// The word in brackets of `always [madvise] never`.
    pub(crate) fn chosen(&self, path: &str) -> Result<String, Without> {
        let text = self.text(path)?;
        match crate::parse::chosen(&text) {
            Some(word) => Ok(word.to_owned()),
            None => unknown(format!("`/{path}` chooses none: `{}`", short(&text))),
        }
    }

    /// The number behind a name: `MemTotal:  1024 kB`.
    pub(crate) fn field(&self, path: &str, name: &str) -> Result<u64, Without> {
        match self.word(path, name)? {
            Some(word) => parsed(path, &word),
            None => unknown(format!("`/{path}` has no `{name}`")),
        }
    }

    /// The word behind a name.
    pub(crate) fn word(&self, path: &str, name: &str) -> Result<Option<String>, Without> {
        let text = match self.host.files.read(path) {
            Ok(text) => text,
            Err(_) => self.text(path)?,
        };
        let line = text.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([':', ' ', '\t']).then_some(rest)
        });
        let word = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        if let Some(word) = word {
            self.saw(format_args!("/{path} {name}"), word);
        }
        Ok(word.map(str::to_owned))
    }

    /// What a file says, without keeping it as evidence: it is long, and `saw` tells what of it counts.
    pub(crate) fn peek(&self, path: &str) -> Result<String, Without> {
        match self.host.files.read(path) {
            Ok(text) => Ok(text),
            Err(_) => self.text(path),
        }
    }

    /// What a file of the workspace says; `None` if there is none.
    pub(crate) fn workspace(&self, path: &str) -> Result<Option<String>, Without> {
        match self.host.workspace.read(path) {
            Ok(text) => Ok(Some(text)),
            Err(Why::Missing) => Ok(None),
            Err(why) => unknown(format!("`{path}`: {why}")),
        }
    }

    /// The paths that exist of a pattern, in which a `*` stands for any name.
    pub(crate) fn paths(&self, pattern: &str) -> Vec<String> {
        expand(&self.host.files, pattern)
    }

    /// The paths of a pattern, of which there has to be one.
    pub(crate) fn some_paths(&self, pattern: &str) -> Result<Vec<String>, Without> {
        let paths = self.paths(pattern);
        if paths.is_empty() {
            self.saw(format_args!("/{pattern}"), Why::Missing);
            return absent(pattern);
        }
        Ok(paths)
    }

    /// The names in a folder.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>, Without> {
        match self.host.files.names(folder) {
            Ok(names) => {
                self.saw(format_args!("/{folder}"), names.join(" "));
                Ok(names)
            }
            Err(Why::Missing) => absent(folder),
            Err(Why::Forbidden) => skip(
                Reason::NoPermission,
                format!("this process may not list `/{folder}`"),
            ),
            Err(Why::Failed(why)) => unknown(format!("`/{folder}`: {why}")),
        }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.host.files.has(path)
    }

    /// The folders of this process's control groups, the nearest first.
    pub(crate) fn groups(&self, controller: &str) -> kernel::Levels {
        kernel::Levels::of(&self.host.files, controller)
    }

    /// What a file said a while ago, and how many seconds ago that was.
    pub(crate) fn before(&self, path: &str) -> Result<(String, f64), Without> {
        let Some(before) = &self.host.before else {
            return skip(
                Reason::NotMeasured,
                "the machine was not watched for a while",
            );
        };
        match before.texts.get(path) {
            Some(text) => Ok((text.clone(), before.ago.as_secs_f64().max(1e-3))),
            None => skip(Reason::NotMeasured, format!("`/{path}` was not watched")),
        }
    }

    /// The count of system management interrupts, then and now.
    pub(crate) fn smi(&self) -> Option<(u64, u64)> {
        let before = self.host.before.as_ref()?.smi?;
        Some((before, self.host.facts.smi?))
    }

    /// The bytes that there are, if so many are more.
    pub(crate) fn short_memory(&self, asked: u64) -> Option<u64> {
        kernel::short_memory(&self.host.files, asked)
    }

    /// The kernel's configuration, from `/proc/config.gz` or `/boot`.
    pub(crate) fn kernel_config(&self) -> Result<String, Without> {
        if let Some(text) = &self.facts().kernel_config {
            return Ok(text.clone());
        }
        let release = self.text("proc/sys/kernel/osrelease")?;
        self.peek(&format!("boot/config-{release}"))
    }
}

/// There is no such file.
fn absent<T>(path: &str) -> Result<T, Without> {
    skip(Reason::NotPresent, format!("there is no `/{path}`"))
}

fn parsed<T: FromStr>(path: &str, text: &str) -> Result<T, Without> {
    match text.trim().parse() {
        Ok(number) => Ok(number),
        Err(_) => unknown(format!("`/{path}` is not a number: `{}`", short(text))),
    }
}

fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    start.escape_debug().to_string()
}
