//! The files of a set of policies, as they lie in a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The most bytes of a file.
const MOST_BYTES: u64 = 8 << 20;
/// The most files of a folder.
const MOST_FILES: usize = 1_000;

/// The name of the data.
const DATA: &str = "data.json";

/// The files of a set: policies, and data for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Each `.rego` file, with the name for messages, in the order of the names.
    pub policies: Vec<(String, String)>,
    /// `data.json`, with its name.
    pub data: Option<(String, String)>,
}

/// Why policies cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system does not let it.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// Nothing there is a policy.
    #[error("{} has no file that ends in `.rego`", .0.display())]
    Empty(PathBuf),
    /// Larger than policies are.
    #[error("{} is larger than {MOST_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// More than there are in a set of policies.
    #[error("{} has more than {MOST_FILES} files", .0.display())]
    TooMany(PathBuf),
}

impl Files {
    /// The policies that come with the gateway: tenants with inheritance and time windows.
    pub fn built_in() -> Self {
        let policy = include_str!("../policies/tenants/policy.rego");
        let data = include_str!("../policies/tenants/data.json");
        Self {
            policies: vec![("built-in policy.rego".to_owned(), policy.to_owned())],
            data: Some(("built-in data.json".to_owned(), data.to_owned())),
        }
    }

    /// Reads a folder: its `.rego` files, without those whose names end in `_test.rego`, and its `data.json`.
    ///
    /// # Errors
    ///
    /// If there is no policy, or something cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let unreadable = |why| ReadError::Unreadable {
            path: folder.to_owned(),
            why,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
            if paths.len() > MOST_FILES {
                return Err(ReadError::TooMany(folder.to_owned()));
            }
        }
        paths.sort();
        let mut found = Self {
            policies: Vec::new(),
            data: None,
        };
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if name == DATA {
                found.data = Some(read(&path)?);
            } else if is_policy(name) {
                found.policies.push(read(&path)?);
            }
        }
        if found.policies.is_empty() {
            return Err(ReadError::Empty(folder.to_owned()));
        }
        Ok(found)
    }
}

fn is_policy(name: &str) -> bool {
    name.ends_with(".rego") && !name.ends_with("_test.rego")
}

/// What is read of a folder, with the data also before it is there. What cannot be read is told by who reads it.
pub(in crate::gateway) fn paths(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let policies = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_policy));
    let policies = policies.map(|entry| entry.path()).take(MOST_FILES);
    policies.chain([folder.join(DATA)])
}

fn read(path: &Path) -> Result<(String, String), ReadError> {
    let unreadable = |why| ReadError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        let why = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
        return Err(unreadable(why));
    }
    if meta.len() > MOST_BYTES {
        return Err(ReadError::TooLarge(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok((path.display().to_string(), text))
}
