//! `replay`: the items of letters, as JSON texts or as frames.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    path::Path,
};

use pipewright::dead_letters::Payload;

use super::{Frames, Letter, Letters, parent};
use crate::{Outcome, check::count};

/// Which letters are replayed.
pub(super) struct Wanted {
    pub(super) stage: Option<String>,
    pub(super) number: Vec<u64>,
    pub(super) again: bool,
}

impl Wanted {
    fn has(&self, letters: &Letters, letter: &Letter) -> bool {
        let record = &letter.record;
        let is_stage = self
            .stage
            .as_ref()
            .is_none_or(|stage| *stage == record.stage);
        let is_number = self.number.is_empty() || self.number.contains(&record.number);
        is_stage && is_number && (self.again || !letters.is_marked(letter))
    }
}

/// Writes the items; letters are marked only when all of them are written, and durable if they go to a file.
pub(super) fn run(
    letters: Letters,
    wanted: &Wanted,
    format: Frames,
    out: Option<&Path>,
    mark: bool,
) -> Outcome {
    let mut written = vec![Vec::new(); letters.folders.len()];
    let (mut bytes, mut left) = (Vec::new(), 0);
    for letter in letters
        .letters
        .iter()
        .filter(|letter| wanted.has(&letters, letter))
    {
        match framed(&letter.record.payload, format) {
            Ok(frame) => {
                bytes.extend(frame);
                written[letter.folder].push(letter.record.number);
            }
            Err(why) => {
                eprintln!("warning: letter {}: {why}", letter.record.number);
                left += 1;
            }
        }
    }
    write(&bytes, out)?;
    if mark {
        for (marks, numbers) in letters.folders.iter().zip(&written) {
            let failed = |error| {
                format!(
                    "cannot mark letters in `{}`: {error}",
                    marks.folder().display()
                )
            };
            marks.add(numbers).map_err(failed)?;
        }
    }
    let items: usize = written.iter().map(Vec::len).sum();
    eprintln!("{} written, {left} without an item", count(items, "item"));
    Ok(letters.tell_damage() && left == 0)
}

fn framed(payload: &Payload, format: Frames) -> Result<Vec<u8>, &'static str> {
    let item = match payload {
        Payload::Json(item) => item,
        Payload::Bytes(item) if format == Frames::Raw => item,
        Payload::Bytes(_) => return Err("its item is bytes; `--format raw` writes them"),
        _ => return Err("its item was not kept"),
    };
    Ok(match format {
        Frames::Ndjson => [item, &b"\n"[..]].concat(),
        Frames::Raw => [&(item.len() as u32).to_le_bytes()[..], item].concat(),
    })
}

fn write(bytes: &[u8], out: Option<&Path>) -> Result<(), String> {
    let Some(path) = out else {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        return written.map_err(|error| {
            format!("cannot write to standard output: {error}; nothing is marked")
        });
    };
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(parent(path))?.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("`{}` is there already; name a new file", path.display())
        }
        _ => format!("cannot write `{}`: {error}", path.display()),
    })
}
