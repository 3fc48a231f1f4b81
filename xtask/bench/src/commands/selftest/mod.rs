//! `bench selftest`: what is planted is found, and nothing where nothing is.
//!
//! What is finished is noted in a file, so that an interrupted selftest goes on where it was. A whole one writes its figures to
//! `RESULTS.md` of this package.

mod notes;
mod plants;
mod rates;
mod record;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{
    notes::{Notes, What},
    rates::Rates,
};
use super::{
    build::{self, Package, Subject},
    options::Interrupt,
    progress::Progress,
    show,
};
use crate::{
    error::{Error, code},
    guards::Guards,
    machine::{self, Machine},
    process::{Binary, Watched},
    results::{Code, replace},
};

/// What is tested, in the order in which it is: what is cheap, then what the figures of others are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
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
    /// The same binary against itself
    Same,
    /// A stage that is 10 % slower
    Slower10,
    /// A stage that is 5 % slower
    Slower5,
    /// A stage that is 2 % slower
    Slower2,
    /// A pipeline that is slower by 1.5 times what comparisons of the same binary claim to find
    Claim,
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
    /// Where the figures are written [default: xtask/bench/RESULTS.md, if everything of the repository is tested in full]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print what came of the parts only
    #[arg(long)]
    quiet: bool,
}

/// What is tested, and how.
struct Trials {
    trial: Binary,
    memory: Option<Binary>,
    /// Who watches comparisons, and who watches single trials.
    watched: Watched,
    guarded: Watched,
    short: bool,
}

impl Trials {
    fn memory(&self) -> Result<&Binary, Error> {
        let missing =
            || Error::Tool("the trials with an allocator that counts were not built".to_owned());
        self.memory.as_ref().ok_or_else(missing)
    }
}

/// How far the fixed piece of work may be off. A block of these short trials is over in half a second; what goes up and down for so
/// short is noise, which the blocks average out.
const CANARY_DRIFT: f64 = 0.2;

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
    let subjects = subjects(args, &parts)?;
    let of = key(&subjects)?;
    let mut notes = Notes::read(path.clone(), of, args.short)?;
    if notes.others > 0 && !args.quiet {
        eprintln!(
            "note: `{}` has {} notes of other binaries, another machine or another form, which are left out; `--fresh` removes them",
            path.display(),
            notes.others
        );
    }
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let trials = Trials {
        trial: subjects[0].binary()?.copied(folder.path(), "A")?,
        memory: subjects.get(1).map(Subject::binary).transpose()?,
        // What is short has too few ticks for the guards.
        watched: Watched::new((!args.short).then(|| Guards {
            canary_drift: CANARY_DRIFT,
            ..Guards::default()
        })),
        guarded: Watched::new(Some(Guards::default())),
        short: args.short,
    };
    measure(&parts, &trials, &mut notes, args.quiet)?;
    let outcome = record::Outcome::of(&parts, &notes, args.short);
    match args.json {
        true => show::json(&outcome)?,
        false => show::print(&outcome.table())?,
    }
    let whole = args.parts.is_empty() && !args.short && args.bin.is_none();
    let usual = || build::root().join("xtask/bench/RESULTS.md");
    if let Some(path) = args.results.clone().or_else(|| whole.then(usual)) {
        let text = outcome.page(&subjects[0].code, &Machine::read(Path::new("/")));
        replace(&path, |file| {
            std::io::Write::write_all(file, text.as_bytes())
        })
        .map_err(|error| Error::file("write", &path, &error))?;
        if !args.json && !args.quiet {
            show::print(&format!("written: {}", path.display()))?;
        }
    }
    Ok(if outcome.failed() == 0 {
        code::PASS
    } else {
        code::SELFTEST
    })
}

/// The trials, and if a part needs them, those with an allocator that counts.
fn subjects(args: &Args, parts: &[Part]) -> Result<Vec<Subject>, Error> {
    let mut subjects = vec![Subject::named_or_built(args.bin.as_deref())?];
    let memory = [Part::Leak, Part::Allocation, Part::SlowStage];
    let wanted = parts.iter().any(|part| memory.contains(part));
    match &args.bin_memory {
        Some(path) => subjects.push(Subject::named_or_built(Some(path))?),
        None if wanted => subjects.push(Subject::built(&Package::own("trial-memory"))?),
        None => {}
    }
    Ok(subjects)
}

/// What notes have to have in common to be counted together: the trials, what judges them, and the machine.
fn key(subjects: &[Subject]) -> Result<String, Error> {
    let tool = std::env::current_exe()
        .and_then(fs::read)
        .map_err(|error| Error::Tool(format!("cannot read this program: {error}")))?;
    let mut hasher = Sha256::new();
    hasher.update(Sha256::digest(tool));
    hasher.update(&subjects[0].code.binary);
    hasher.update(Machine::read(Path::new("/")).class);
    Ok(hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Tests what is not finished.
fn measure(parts: &[Part], trials: &Trials, notes: &mut Notes, quiet: bool) -> Result<(), Error> {
    let interrupt = Interrupt::watch()?;
    let left = |part: &Part, notes: &Notes| {
        part.wanted(trials.short)
            .saturating_sub(part.counted(notes))
    };
    let steps: usize = parts.iter().map(|part| left(part, notes)).sum();
    let seconds: f64 = parts
        .iter()
        .map(|part| left(part, notes) as f64 * part.seconds(trials.short))
        .sum();
    if steps > 0 && !quiet {
        eprintln!(
            "tests that are left: {steps}, about {} min on a quiet machine",
            (seconds / 60.0).ceil()
        );
    }
    let progress = Progress::new(steps, quiet);
    for part in parts {
        // Refused comparisons are made again, but not for ever.
        let most = part.most(trials.short);
        while part.counted(notes) < part.wanted(trials.short) && part.tried(notes) < most {
            let at = part.tried(notes);
            let begun = Instant::now();
            let before = part.counted(notes);
            let what = interrupt.check(part.once(trials, notes, at))?;
            notes.add(*part, begun.elapsed().as_secs_f64(), what)?;
            match part.counted(notes) > before {
                true => progress.step(&format!("{} {}", part.name(), at + 1)),
                false => progress.say(&format!("{} {}: refused", part.name(), at + 1)),
            }
        }
    }
    progress.end();
    Ok(())
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How often it has to be tested.
    fn wanted(self, short: bool) -> usize {
        match (self, short) {
            (Self::Same, false) => 200,
            (Self::Slower2 | Self::Slower5 | Self::Slower10, false) => 40,
            (Self::Claim, false) => 60,
            (Self::Same | Self::Slower10, true) => 2,
            (Self::Slower2 | Self::Slower5 | Self::Gates, true) => 0,
            (Self::Gates, false) => 10,
            _ => 1,
        }
    }

    /// How often at most: a third of the comparisons may be refused.
    fn most(self, short: bool) -> usize {
        let wanted = self.wanted(short);
        match self.is_comparison() {
            true => wanted + wanted.div_ceil(2),
            false => wanted,
        }
    }

    fn is_comparison(self) -> bool {
        self.slower().is_some() || self == Self::Claim
    }

    /// How often it was tested.
    fn tried(self, notes: &Notes) -> usize {
        notes.all().iter().filter(|note| note.part == self).count()
    }

    /// How often with a result.
    fn counted(self, notes: &Notes) -> usize {
        let refused = notes
            .compared(self)
            .iter()
            .filter(|one| one.refused.is_some())
            .count();
        self.tried(notes) - refused
    }

    /// About how long one takes where nothing is disturbed.
    fn seconds(self, short: bool) -> f64 {
        /// Starting a process, ending it, and looking at the machine.
        const AROUND_MS: u64 = 14;
        match self {
            part if part.is_comparison() => {
                let [warm, measured] = rates::trial_ms(short);
                (rates::BLOCKS as u64 * 4 * (warm + measured + AROUND_MS)) as f64 / 1e3
            }
            Self::Gates => 20.0,
            Self::OtherMachine => 0.0,
            _ if short => 2.0,
            _ => 5.0,
        }
    }

    /// By how many per cent the stage of B is slower, where that is fixed.
    fn slower(self) -> Option<f64> {
        match self {
            Self::Same => Some(0.0),
            Self::Slower2 => Some(2.0),
            Self::Slower5 => Some(5.0),
            Self::Slower10 => Some(10.0),
            _ => None,
        }
    }

    fn once(self, trials: &Trials, notes: &Notes, at: usize) -> Result<What, Error> {
        let found = match self {
            Self::Same | Self::Slower2 | Self::Slower5 | Self::Slower10 | Self::Claim => {
                let percent = match self.slower() {
                    Some(percent) => percent,
                    None => claim(notes)?,
                };
                let seed = (self as u64) << 32 | at as u64;
                return rates::compare(trials, percent, seed).map(What::Compared);
            }
            Self::Stall => plants::stall(trials)?,
            Self::Leak => plants::leak(trials)?,
            Self::Allocation => plants::allocation(trials)?,
            Self::SlowStage => plants::slow_stage(trials)?,
            Self::Overload => plants::overload(trials)?,
            Self::ForeignLoad => plants::foreign_load(trials)?,
            Self::OtherMachine => plants::other_machine()?,
            Self::Gates => plants::gates()?,
        };
        Ok(What::Found(found))
    }
}

/// By how many per cent the stage is slower where the claim is tested: as before, if that was begun.
fn claim(notes: &Notes) -> Result<f64, Error> {
    if let Some(begun) = notes.compared(Part::Claim).first() {
        return Ok(begun.percent);
    }
    let [same, known] = [Part::Same, Part::Slower10].map(|part| notes.compared(part));
    rates::of_the_claim(&same, &known).ok_or_else(|| {
        Error::Usage(
            "what is claimed is not known: `cargo xtask bench selftest same slower10 claim` finds out, on a machine that is quiet enough"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selftest_takes_less_than_half_an_hour() {
        let all = Part::value_variants().iter();
        let seconds: f64 = all
            .map(|part| part.wanted(false) as f64 * part.seconds(false))
            .sum();
        assert!(seconds < 25.0 * 60.0, "{seconds}");
    }

    #[test]
    fn what_the_claim_is_made_of_is_tested_before_it() {
        assert!(Part::Same < Part::Claim && Part::Slower10 < Part::Claim);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        let mut notes = Notes::read(path, String::new(), false).expect("none is none");
        assert!(claim(&notes).is_err());
        let compared = |percent: f64, estimate: f64| {
            What::Compared(rates::Compared {
                percent,
                estimate,
                mde: Some(0.04),
                ..rates::Compared::default()
            })
        };
        notes
            .add(Part::Same, 1.0, compared(0.0, 0.0))
            .expect("a note");
        notes
            .add(Part::Slower10, 1.0, compared(10.0, 0.08))
            .expect("a note");
        assert!((claim(&notes).expect("it is known") - 7.5).abs() < 1e-9);
        // What was begun goes on as it was.
        notes
            .add(Part::Claim, 1.0, compared(7.0, 0.06))
            .expect("a note");
        assert_eq!(claim(&notes).expect("it is known"), 7.0);
    }

    #[test]
    fn refused_comparisons_are_tried_again_and_do_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        let mut notes = Notes::read(path, String::new(), false).expect("none is none");
        let refused = rates::Compared {
            refused: Some("steal".to_owned()),
            ..rates::Compared::default()
        };
        notes
            .add(Part::Same, 1.0, What::Compared(refused))
            .expect("a note");
        assert_eq!(
            (Part::Same.tried(&notes), Part::Same.counted(&notes)),
            (1, 0)
        );
        assert_eq!(Part::Same.most(false), 300);
        assert_eq!(Part::Leak.most(false), 1);
    }
}
