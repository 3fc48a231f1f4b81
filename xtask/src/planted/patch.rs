//! Planted bugs: a patch with a head that says what the bug is and which test has to catch it.
//!
//! ```text
//! bug: a position is committed although a batch before it is not done
//! caught-by: lib ack_ring
//!
//! --- runtime/src/ack_ring.rs
//! +++ runtime/src/ack_ring.rs
//! @@
//!  a line that stays
//! -a line that goes
//! +a line that comes
//! ```
//!
//! What a hunk takes away, with the lines around it, must be in the file just once. So patches need no line numbers, go on fitting
//! while other lines change, and never fit somewhere else.

use std::{collections::BTreeMap, path::Path};

/// What runs the test that has to catch a bug.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caught {
    /// Unit tests of the runtime with this in their names.
    Lib(String),
    /// A test binary of the repository's tests, and what is in the names.
    Tests(String, String),
    /// Tests of `macros/core`, likewise.
    Macros(String, String),
    /// Loom models with this in their names.
    Loom(String),
}

/// A planted bug.
#[derive(Debug)]
pub(super) struct Planted {
    pub(super) bug: String,
    pub(super) caught: Caught,
    files: Vec<FilePatch>,
}

#[derive(Debug)]
struct FilePatch {
    path: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Default)]
struct Hunk {
    old: Vec<String>,
    new: Vec<String>,
}

impl Planted {
    /// Reads a patch with its head.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (mut bug, mut caught, mut files) = (None, None, Vec::<FilePatch>::new());
        for line in text.lines() {
            let Some(file) = files.last_mut() else {
                if let Some(text) = line.strip_prefix("bug: ") {
                    bug = Some(text.to_owned());
                } else if let Some(text) = line.strip_prefix("caught-by: ") {
                    caught = Some(Caught::read(text)?);
                } else if let Some(path) = line.strip_prefix("--- ") {
                    files.push(FilePatch::new(path));
                } else if !line.trim().is_empty() {
                    return Err(format!("`{line}` is no line of a head"));
                }
                continue;
            };
            match line.split_at_checked(1) {
                _ if line.starts_with("+++ ") && file.hunks.is_empty() => {}
                _ if line.starts_with("--- ") => files.push(FilePatch::new(&line[4..])),
                _ if line.starts_with("@@") => file.hunks.push(Hunk::default()),
                Some((kind, rest)) => file.line(kind, rest)?,
                None => file.line(" ", "")?,
            }
        }
        Ok(Self {
            bug: bug.ok_or("`bug: ..` is missing")?,
            caught: caught.ok_or("`caught-by: ..` is missing")?,
            files,
        })
    }

    /// The text of each file that it changes, below `root`, as it is with the bug.
    pub(super) fn applied(&self, root: &Path) -> Result<BTreeMap<String, String>, String> {
        if self.files.is_empty() {
            return Err("it changes no file".to_owned());
        }
        let mut changed = BTreeMap::new();
        for file in &self.files {
            let text = std::fs::read_to_string(root.join(&file.path))
                .map_err(|error| format!("cannot read `{}`: {error}", file.path))?;
            let text = file.hunks.iter().try_fold(text, |text, hunk| {
                hunk.apply(&text)
                    .map_err(|why| format!("`{}`: {why}", file.path))
            })?;
            if changed.insert(file.path.clone(), text).is_some() {
                return Err(format!(
                    "`{}` stands there twice; put its hunks together",
                    file.path
                ));
            }
        }
        Ok(changed)
    }
}

impl Caught {
    fn read(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let word = |at: usize| words[at].to_owned();
        match words.as_slice() {
            ["lib", _] => Ok(Self::Lib(word(1))),
            ["tests", _, _] => Ok(Self::Tests(word(1), word(2))),
            ["macros", _, _] => Ok(Self::Macros(word(1), word(2))),
            ["loom", _] => Ok(Self::Loom(word(1))),
            _ => Err(format!(
                "`caught-by: {text}` is not `lib NAME`, `tests BINARY NAME`, `macros BINARY NAME` or `loom NAME`"
            )),
        }
    }
}

impl FilePatch {
    fn new(path: &str) -> Self {
        Self {
            path: path.trim().to_owned(),
            hunks: Vec::new(),
        }
    }

    fn line(&mut self, kind: &str, rest: &str) -> Result<(), String> {
        let hunk = self.hunks.last_mut();
        let hunk = hunk.ok_or_else(|| format!("`{kind}{rest}` stands in front of `@@`"))?;
        match kind {
            " " => {
                hunk.old.push(rest.to_owned());
                hunk.new.push(rest.to_owned());
            }
            "-" => hunk.old.push(rest.to_owned()),
            "+" => hunk.new.push(rest.to_owned()),
            _ => {
                return Err(format!(
                    "`{kind}{rest}` begins with none of ` `, `-` and `+`"
                ));
            }
        }
        Ok(())
    }
}

impl Hunk {
    fn apply(&self, text: &str) -> Result<String, String> {
        if self.old.is_empty() || self.old == self.new {
            return Err("a hunk changes nothing".to_owned());
        }
        let lines: Vec<&str> = text.lines().collect();
        let fits = |part: &[&str]| part.iter().zip(&self.old).all(|(line, old)| line == old);
        let places: Vec<usize> = lines
            .windows(self.old.len())
            .enumerate()
            .filter_map(|(at, part)| fits(part).then_some(at))
            .collect();
        let &[at] = places.as_slice() else {
            let first = self.old.iter().find(|line| !line.trim().is_empty());
            let first = first.map_or("", |line| line.trim());
            return Err(format!("a hunk (`{first}`) fits {} times", places.len()));
        };
        let new = self.new.iter().map(String::as_str);
        let rest = lines[at + self.old.len()..].iter().copied();
        let all: Vec<&str> = lines[..at].iter().copied().chain(new).chain(rest).collect();
        Ok(all.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "bug: it is lost\ncaught-by: tests acks is_lost\n\n--- a.rs\n+++ a.rs\n@@\n two\n-three\n+drei\n+vier\n\n five\n";

    fn applied(patch: &str, text: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rs"), text).unwrap();
        let mut changed = Planted::read(patch)?.applied(folder.path())?;
        Ok(changed.remove("a.rs").unwrap())
    }

    #[test]
    fn a_patch_has_a_head_and_fits_where_its_lines_are() {
        let planted = Planted::read(PATCH).unwrap();
        assert_eq!(planted.bug, "it is lost");
        assert_eq!(
            planted.caught,
            Caught::Tests("acks".into(), "is_lost".into())
        );
        assert_eq!(
            applied(PATCH, "one\ntwo\nthree\n\nfive\nsix\n").unwrap(),
            "one\ntwo\ndrei\nvier\n\nfive\nsix\n"
        );
    }

    #[test]
    fn a_patch_that_fits_nowhere_or_twice_is_an_error() {
        let check = |text: &str, expect: &str| {
            assert_eq!(applied(PATCH, text).unwrap_err(), expect);
        };
        check("two\nthree\nfive\n", "`a.rs`: a hunk (`two`) fits 0 times");
        let twice = "two\nthree\n\nfive\n".repeat(2);
        check(&twice, "`a.rs`: a hunk (`two`) fits 2 times");
        let check = |patch: &str, expect: &str| {
            assert_eq!(applied(patch, "").unwrap_err(), expect);
        };
        check("caught-by: lib x\n--- a.rs\n", "`bug: ..` is missing");
        check("bug: x\n--- a.rs\n", "`caught-by: ..` is missing");
        check("bug: x\ncaught-by: lib x\n", "it changes no file");
        check("what", "`what` is no line of a head");
        check(
            "bug: x\ncaught-by: lib x\n--- a.rs\n+++ a.rs\n@@\n same\n",
            "`a.rs`: a hunk changes nothing",
        );
    }
}
