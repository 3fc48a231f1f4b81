//! Results in a file: what `--json` prints, and what `hw diff` and `hw check --probe` read.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    check::{Checked, Checkup, Profile},
    floor::Floor,
};

/// The form of the files. A field that is new or gone changes the number, and so does a name of `machine`.
pub const SCHEMA: &str = "pipewright.hw/2";

/// No longer file is read, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// The results of one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// [`SCHEMA`].
    pub schema: String,
    /// What made it.
    pub kind: Kind,
    /// The version of pipewright that made it.
    pub version: String,
    /// What the machine is, as names and values; two results of different machines differ here.
    pub machine: BTreeMap<String, String>,
    /// What the machine was checked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What was checked, in the order of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// What was measured, by name, such as `A7 cpu 0 to 1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, Figure>,
    /// What no pipeline can be faster than here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// All that was measured, for whoever draws it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<serde_json::Value>,
}

/// What made a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `hw check`.
    Check,
    /// `hw probe`.
    Probe,
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Its unit, such as `ns`.
    pub unit: String,
}

/// Why there is no result to be had from a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is longer than any result.
    #[error("`{}` is too long for a result of `hw`", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not JSON, or not the JSON that it says to be.
    #[error("`{}` is not a result of `hw`: {error}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
    /// Another version made it.
    #[error(
        "`{}` has the form `{found}`, and this version reads `{SCHEMA}`: make it again with `hw check --json` or `hw probe --json` of this version",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The form that it has.
        found: String,
    },
}

impl Saved {
    /// An empty result of this version.
    pub fn new(kind: Kind, machine: BTreeMap<String, String>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            kind,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine,
            profile: None,
            checks: Vec::new(),
            figures: BTreeMap::new(),
            floor: None,
            probe: None,
        }
    }

    /// What came of a check of a machine.
    pub fn of(checkup: Checkup, machine: BTreeMap<String, String>) -> Self {
        Self {
            profile: Some(checkup.profile),
            checks: checkup.checked,
            ..Self::new(Kind::Check, machine)
        }
    }

    /// Reads a file that `--json` wrote.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is none, or has another form.
    pub fn read(path: &Path) -> Result<Self, SavedError> {
        let io = |error| SavedError::Io {
            path: path.to_owned(),
            error,
        };
        let broken = |error| SavedError::Broken {
            path: path.to_owned(),
            error,
        };
        if fs::metadata(path).map_err(io)?.len() > MOST_BYTES {
            let path = path.to_owned();
            return Err(SavedError::TooLong { path });
        }
        let text = fs::read(path).map_err(io)?;
        // The form is looked at first: what is wrong with a file of another version is its version.
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let form: Form = serde_json::from_slice(&text).map_err(broken)?;
        if form.schema != SCHEMA {
            return Err(SavedError::Schema {
                path: path.to_owned(),
                found: form.schema,
            });
        }
        serde_json::from_slice(&text).map_err(broken)
    }
}

/// The JSON that [`Saved::read`] reads.
impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)?;
        f.write_str("\n")
    }
}

#[cfg(test)]
mod tests {
    use pipewright_bench::fingerprint::HARDWARE;

    use super::*;

    fn one() -> Saved {
        let machine = BTreeMap::from([("cpu".to_owned(), "an old one".to_owned())]);
        let mut saved = Saved::new(Kind::Probe, machine);
        let (value, unit) = (21.5, "ns".to_owned());
        saved
            .figures
            .insert("A1 clock".to_owned(), Figure { value, unit });
        saved
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hw.json");
        fs::write(&path, one().to_string()).expect("a file");
        assert_eq!(Saved::read(&path).expect("it is read"), one());
    }

    #[test]
    fn another_name_of_a_machine_is_another_form() {
        let names = [
            "cpu_model",
            "cpus_online",
            "kernel",
            "microcode",
            "numa_nodes",
        ];
        let form = ("pipewright.hw/2", names);
        assert_eq!((SCHEMA, HARDWARE), form, "another name is another number");
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hw.json");
        let good = one().to_string();
        let check = |text: &str, expect: &str| {
            fs::write(&path, text).expect("a file");
            let error = Saved::read(&path).expect_err("it is no result").to_string();
            let shown = error.replace(&path.display().to_string(), "hw.json");
            assert!(shown.starts_with(expect), "{shown}");
        };
        check("", "`hw.json` is not a result of `hw`: EOF");
        check(
            "{}",
            "`hw.json` is not a result of `hw`: missing field `schema`",
        );
        check(
            &good[..good.len() / 2],
            "`hw.json` is not a result of `hw`: EOF",
        );
        check(
            &good.replace("hw/2", "hw/1"),
            "`hw.json` has the form `pipewright.hw/1`, and this version reads `pipewright.hw/2`: make it again with `hw check --json`",
        );
        check(
            &good.replace("\"kind\"", "\"kinds\""),
            "`hw.json` is not a result of `hw`: unknown field `kinds`",
        );
        fs::remove_file(&path).expect("a file");
        let error = Saved::read(&path).expect_err("it is gone").to_string();
        assert!(error.starts_with("cannot read `"), "{error}");
    }
}
