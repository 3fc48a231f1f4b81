//! Files of lines of JSON that only grow.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Error, results::replace};

/// All lines of a file; none if there is no file. What is wrong is told with its place.
pub(super) fn read_lines<T: DeserializeOwned>(
    path: &Path,
    schema: &str,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Vec<T>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", path, &error)),
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            let parsed = parse(line, schema).and_then(|line| check(&line).map(|()| line));
            parsed.map_err(|why| {
                Error::Usage(format!("`{}`, line {}: {why}", path.display(), at + 1))
            })
        })
        .collect()
}

fn parse<T: DeserializeOwned>(line: &str, schema: &str) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |error: serde_json::Error| format!("it is no line of a history: {error}");
    let head: Head = serde_json::from_str(line).map_err(broken)?;
    if head.schema != schema {
        return Err(format!(
            "it has the schema `{}`, and this reads `{schema}`; use the version that wrote it, or move the file away",
            head.schema
        ));
    }
    serde_json::from_str(line).map_err(broken)
}

/// Adds lines to a file; how many. `new` makes them when nobody else writes, so that two who end together do not write over each
/// other.
pub(super) fn append_lines<T: Serialize>(
    path: &Path,
    new: impl FnOnce() -> Result<Vec<T>, Error>,
) -> Result<usize, Error> {
    let failed = |error: io::Error| Error::file("write", path, &error);
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed)?;
    let lock = File::create(parent.join(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let new = new()?;
    if new.is_empty() {
        return Ok(0);
    }
    let mut text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    for line in &new {
        let line = serde_json::to_string(line).map_err(|error| Error::Tool(error.to_string()))?;
        text.push_str(&line);
        text.push('\n');
    }
    replace(path, |file| file.write_all(text.as_bytes())).map_err(failed)?;
    Ok(new.len())
}
