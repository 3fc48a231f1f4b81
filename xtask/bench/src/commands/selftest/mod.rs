//! `bench selftest`: what is planted is found, and nothing where nothing is.
//!
//! What is finished is noted in a file, so that an interrupted selftest goes on where it was.

mod plants;
mod rates;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    build::{self, Subject},
    options::Interrupt,
    progress::Progress,
};
use crate::{
    error::{Error, code},
    machine,
    process::Binary,
};

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// The same binary against itself
    Same,
    /// A stage that is 2 % slower
    Slower2,
    /// A stage that is 5 % slower
    Slower5,
    /// A stage that is 10 % slower
    Slower10,
    /// A stall of 200 ms, in an open and in a closed loop
    Stall,
    /// A leak of a byte for each item
    Leak,
    /// An allocation in a stage
    Allocation,
    /// A stage that takes longer than all others
    SlowStage,
    /// More than the generator can offer
    Overload,
    /// Other work on the machine
    ForeignLoad,
    /// A saved result of another machine
    OtherMachine,
    /// The gates of `bench ci`, on unchanged code
    Gates,
}

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
    /// A few comparisons of very short trials: it shows that everything works, and not how often
    #[arg(long)]
    short: bool,
    /// Forget what an interrupted selftest has finished
    #[arg(long)]
    fresh: bool,
    /// A binary of trials [default: that of the repository, which is built]
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// The same with an allocator that counts
    #[arg(long, value_name = "FILE")]
    bin_memory: Option<PathBuf>,
    /// Where it is noted what is finished [default: target/pipewright/bench/selftest.jsonl]
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
}

/// What was tested once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    part: Part,
    short: bool,
    #[serde(flatten)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Compared(rates::Compared),
    Found(Found),
}

/// Was what was planted found?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    found: bool,
    said: String,
}

/// The binaries.
struct Trials {
    trial: Binary,
    memory: Option<Binary>,
    short: bool,
}

impl Trials {
    fn memory(&self) -> Result<&Binary, Error> {
        let missing =
            || Error::Tool("the trials with an allocator that counts were not built".to_owned());
        self.memory.as_ref().ok_or_else(missing)
    }
}

/// `bench selftest`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let parts: Vec<Part> = match args.parts.as_slice() {
        [] => Part::value_variants().to_vec(),
        parts => parts.to_vec(),
    };
    let path = args
        .notes
        .clone()
        .unwrap_or_else(|| build::home().join("selftest.jsonl"));
    if args.fresh && path.exists() {
        fs::remove_file(&path).map_err(|error| Error::file("remove", &path, &error))?;
    }
    let mut notes = read(&path)?;
    notes.retain(|note| note.short == args.short);
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let trials = trials(args, &parts, folder.path())?;
    let interrupt = Interrupt::watch()?;
    let wanted: usize = parts.iter().map(|part| part.times(args.short)).sum();
    let progress = Progress::new(wanted, false);
    for part in &parts {
        let done = notes.iter().filter(|note| note.part == *part).count();
        progress.skip(done.min(part.times(args.short)));
        for at in done..part.times(args.short) {
            let what = interrupt.check(part.once(&trials, at))?;
            progress.step(&format!("{} {}", part.name(), at + 1));
            let note = Note {
                part: *part,
                short: args.short,
                what,
            };
            append(&path, &note)?;
            notes.push(note);
        }
    }
    progress.end();
    let (text, failed) = report(&parts, &notes, args.short);
    println!("{text}");
    Ok(if failed == 0 {
        code::PASS
    } else {
        code::SELFTEST
    })
}

fn trials(args: &Args, parts: &[Part], folder: &Path) -> Result<Trials, Error> {
    let trial = Subject::named_or_built(args.bin.as_deref())?;
    let memory = [Part::Leak, Part::Allocation, Part::SlowStage];
    let memory = match (
        &args.bin_memory,
        parts.iter().any(|part| memory.contains(part)),
    ) {
        (Some(path), _) => Some(Binary::at(path)?),
        (None, true) => Some(Subject::built("trial-memory")?.binary()?),
        (None, false) => None,
    };
    Ok(Trials {
        trial: trial.binary()?.copied(folder, "A")?,
        memory,
        short: args.short,
    })
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How often it is tested.
    fn times(self, short: bool) -> usize {
        match (self, short) {
            (Self::Same, false) => 200,
            (Self::Slower2 | Self::Slower5 | Self::Slower10, false) => 40,
            (Self::Same | Self::Slower10, true) => 2,
            (Self::Slower2 | Self::Slower5 | Self::Gates, true) => 0,
            (Self::Gates, false) => 10,
            _ => 1,
        }
    }

    /// By how many per cent B is slower, where two are compared.
    fn slower(self) -> Option<f64> {
        match self {
            Self::Same => Some(0.0),
            Self::Slower2 => Some(2.0),
            Self::Slower5 => Some(5.0),
            Self::Slower10 => Some(10.0),
            _ => None,
        }
    }

    fn once(self, trials: &Trials, at: usize) -> Result<What, Error> {
        if let Some(percent) = self.slower() {
            let seed = (self as u64) << 32 | at as u64;
            return rates::compare(trials, percent, seed).map(What::Compared);
        }
        let found = match self {
            Self::Stall => plants::stall(trials)?,
            Self::Leak => plants::leak(trials)?,
            Self::Allocation => plants::allocation(trials)?,
            Self::SlowStage => plants::slow_stage(trials)?,
            Self::Overload => plants::overload(trials)?,
            Self::ForeignLoad => plants::foreign_load(trials)?,
            Self::OtherMachine => plants::other_machine()?,
            Self::Gates => plants::gates()?,
            Self::Same | Self::Slower2 | Self::Slower5 | Self::Slower10 => {
                return Err(Error::Tool("comparisons are made above".to_owned()));
            }
        };
        Ok(What::Found(found))
    }
}

/// What an interrupted selftest has finished. A last line that is half written was not finished.
fn read(path: &Path) -> Result<Vec<Note>, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| Error::file("read", path, &error))?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let note = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::Usage(format!(
                "`{}`, line {}: {error}; `--fresh` begins anew",
                path.display(),
                at + 1
            ))
        })
    };
    whole.lines().enumerate().map(note).collect()
}

fn append(path: &Path, note: &Note) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file("write", path, &error);
    let line = serde_json::to_string(note).map_err(|error| Error::Tool(error.to_string()))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes())
        .map_err(failed)
}

/// A table of what was planted and found, and how many parts failed.
fn report(parts: &[Part], notes: &[Note], short: bool) -> (String, usize) {
    let mut of: BTreeMap<Part, Vec<&What>> = BTreeMap::new();
    for note in notes {
        of.entry(note.part).or_default().push(&note.what);
    }
    let mut failed = 0;
    let mut lines = vec![
        "| part | what came of it | |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for part in parts {
        let Some(all) = of.get(part) else {
            continue;
        };
        let (good, said) = match part.slower() {
            Some(percent) => rates::sum_up(percent, &compared(all), short),
            None => found(all),
        };
        failed += usize::from(!good);
        lines.push(format!(
            "| {} | {said} | {} |",
            part.name(),
            if good { "ok" } else { "FAILED" }
        ));
    }
    (lines.join("\n"), failed)
}

fn compared<'a>(all: &[&'a What]) -> Vec<&'a rates::Compared> {
    let compared = all.iter().filter_map(|what| match what {
        What::Compared(compared) => Some(compared),
        What::Found(_) => None,
    });
    compared.collect()
}

fn found(all: &[&What]) -> (bool, String) {
    let all: Vec<&Found> = all
        .iter()
        .filter_map(|what| match what {
            What::Found(found) => Some(found),
            What::Compared(_) => None,
        })
        .collect();
    let good = all.iter().all(|one| one.found);
    let said = all
        .iter()
        .find(|one| one.found == good)
        .map_or("", |one| one.said.as_str());
    match all.len() {
        1 => (good, said.to_owned()),
        n => (good, format!("{n} times: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(part: Part, found: bool) -> Note {
        Note {
            part,
            short: true,
            what: What::Found(Found {
                found,
                said: "said".to_owned(),
            }),
        }
    }

    #[test]
    fn what_is_finished_is_noted_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        assert_eq!(read(&path).expect("none is none"), []);
        append(&path, &note(Part::Leak, true)).expect("it can be written");
        append(&path, &note(Part::Stall, false)).expect("it can be written");
        let mut text = fs::read_to_string(&path).expect("it is there");
        text.push_str("{\"part\":\"le");
        fs::write(&path, &text).expect("it can be written");
        assert_eq!(
            read(&path).expect("it can be read"),
            [note(Part::Leak, true), note(Part::Stall, false)]
        );
        fs::write(&path, "what\n").expect("it can be written");
        assert!(
            read(&path)
                .expect_err("it is damaged")
                .to_string()
                .contains("--fresh")
        );
    }

    #[test]
    fn a_part_that_was_not_found_fails() {
        let check = |notes: &[Note], expect: usize| {
            let (text, failed) = report(Part::value_variants(), notes, true);
            assert_eq!(failed, expect, "{text}");
        };
        check(&[note(Part::Leak, true)], 0);
        check(&[note(Part::Leak, true), note(Part::Stall, false)], 1);
        check(&[note(Part::Gates, true), note(Part::Gates, false)], 1);
    }
}
