//! `cargo xtask dead-letters`: what is in the files of dead letters, and their items again.

mod marks;
mod replay;
mod show;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use pipewright::dead_letters::{Found, Record};

use self::marks::Marks;
use crate::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a line for each letter: number, time, stage, class, attempts, error
    List {
        /// Segments (`.letters`) and folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print everything about one letter
    Show {
        /// Its number, as `list` prints it
        number: u64,
        /// Segments (`.letters`) and folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How the item is printed [default: as JSON or UTF-8 where it is that, else in hexadecimal]
        #[arg(long, value_name = "FORM")]
        item: Option<show::Form>,
    },
    /// Write the items of letters, so that they can be processed again
    Replay {
        /// Segments (`.letters`) and folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Only letters of this stage
        #[arg(long)]
        stage: Option<String>,
        /// Only this letter; can be given several times
        #[arg(long, value_name = "N")]
        number: Vec<u64>,
        /// One JSON text a line, or frames: four bytes of length, little-endian, and the item
        #[arg(long, value_enum, default_value_t = Frames::Ndjson)]
        format: Frames,
        /// Where to write, to a file that is not there yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Note which ones were written, in `replayed.txt` beside their segments
        #[arg(long)]
        mark: bool,
        /// Also write those that are marked
        #[arg(long)]
        again: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Frames {
    Ndjson,
    Raw,
}

pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::List { files } => show::list(&read(&files)?),
        Command::Show {
            number,
            files,
            item,
        } => show::show(&read(&files)?, number, item),
        Command::Replay {
            files,
            stage,
            number,
            format,
            out,
            mark,
            again,
        } => {
            let wanted = replay::Wanted {
                stage,
                number,
                again,
            };
            replay::run(read(&files)?, &wanted, format, out.as_deref(), mark)
        }
    }
}

/// A letter, and the folder of its segment.
struct Letter {
    record: Record,
    folder: usize,
}

/// What was read.
#[derive(Default)]
struct Letters {
    letters: Vec<Letter>,
    folders: Vec<Marks>,
    /// Segments with damage: what is wrong with them, and whether it is no more than a torn tail.
    damage: Vec<(String, bool)>,
}

fn read(files: &[PathBuf]) -> Result<Letters, String> {
    let mut all = Letters::default();
    for file in files {
        let found = Found::read(file).map_err(|error| error.to_string())?;
        let folder = all.folder(if file.is_dir() { file } else { parent(file) })?;
        let letters = found.letters.into_iter();
        all.letters
            .extend(letters.map(|record| Letter { record, folder }));
        let told = found.damage.iter();
        all.damage.extend(
            told.map(|(file, damage)| (format!("`{}`: {damage}", file.display()), damage.is_tail)),
        );
    }
    Ok(all)
}

/// The folder of a file.
fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

impl Letters {
    /// The place of a folder among those that were named.
    fn folder(&mut self, path: &Path) -> Result<usize, String> {
        if let Some(at) = self.folders.iter().position(|marks| marks.folder() == path) {
            return Ok(at);
        }
        self.folders.push(Marks::read(path)?);
        Ok(self.folders.len() - 1)
    }

    fn is_marked(&self, letter: &Letter) -> bool {
        self.folders[letter.folder].has(letter.record.number)
    }

    /// Tells what is damaged on standard error; `true` if no letter can be missing. A torn tail is what a crash leaves, or what
    /// is being written, and was never said to be durable.
    fn tell_damage(&self) -> bool {
        for (damage, is_tail) in &self.damage {
            let word = if *is_tail { "note" } else { "warning" };
            eprintln!("{word}: {damage}");
        }
        self.damage.iter().all(|(_, is_tail)| *is_tail)
    }
}
