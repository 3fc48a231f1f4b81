//! `bench ci`: what noise cannot touch, against references that are committed.
//!
//! Instructions an item are counted by Callgrind, which simulates one processor: twice, with few items and with many, so that
//! starting and ending cancel. Allocations are counted exactly. The size of the code is that of the text section of the trials.
//! All three depend on the compiler and the target, which are pinned and noted in the references.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use object::{Object, ObjectSection};

use super::{
    build::{self, Package, Subject},
    gates::{Found, Gates, Reference, References, reference, table},
    progress::Progress,
    show,
};
use crate::{
    error::{Error, code},
    protocol::{Request, StageShare},
    results::replace,
};

/// The pipelines whose instructions are counted.
const COUNTED: [&str; 3] = ["fused", "keyed", "in-order"];

/// Items of the two runs whose difference is counted.
pub(super) const ITEMS: [u64; 2] = [50_000, 450_000];

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write what was found as the new references
    #[arg(long, conflicts_with = "deny_skipped")]
    bless: bool,
    /// Exit with 14 if a gate could not be compared on this machine
    #[arg(long)]
    deny_skipped: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print what came of the gates only
    #[arg(long)]
    quiet: bool,
}

/// `bench ci`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let path = place();
    if args.bless {
        let found = measure(None, args.quiet)?;
        let references = References {
            toolchain: toolchain()?,
            gates: found
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.clone(), reference(name, *value.as_ref().ok()?)))
                })
                .collect(),
        };
        let text = serde_json::to_string_pretty(&references)
            .map_err(|error| Error::Tool(error.to_string()))?;
        replace(&path, |file| writeln!(file, "{text}"))
            .map_err(|error| Error::file("write", &path, &error))?;
        args.print(&table(&references, &found), Some(&path))?;
        return Ok(code::PASS);
    }
    let gates = gates(args.quiet)?;
    args.print(&gates, None)?;
    Ok(match (gates.failed, gates.skipped) {
        (1.., _) => code::BUDGET,
        (_, 1..) if args.deny_skipped => code::REFUSED,
        _ => code::PASS,
    })
}

impl Args {
    /// Prints what came of the gates, and where new references were written, if they were.
    fn print(&self, gates: &Gates, written: Option<&Path>) -> Result<(), Error> {
        #[derive(serde::Serialize)]
        struct Document<'a> {
            verdict: String,
            #[serde(flatten)]
            gates: &'a Gates,
            written: Option<&'a Path>,
        }
        if self.json {
            return show::json(&Document {
                verdict: gates.verdict(),
                gates,
                written,
            });
        }
        show::print(&gates.text)?;
        match written {
            Some(path) if !self.quiet => {
                return show::print(&format!("written: {}", path.display()));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if gates.failed > 0 && !self.quiet {
            show::print("if this is meant, `cargo xtask bench ci --bless` writes new references")?;
        }
        show::print(&format!("verdict: {}", gates.verdict()))
    }
}

/// Measures, and compares with the references. `quiet`: how far it is is not told.
pub(crate) fn gates(quiet: bool) -> Result<Gates, Error> {
    let references = read(&place())?;
    if let Some(why) = foreign(&references)? {
        return Ok(Gates::skipped(references, &why));
    }
    Ok(table(&references, &measure(Some(&references), quiet)?))
}

fn place() -> PathBuf {
    build::root().join("benches/trials/references.json")
}

fn read(path: &Path) -> Result<References, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Usage(format!("`{}` has no references: {error}", path.display())))
}

/// Why nothing that is measured here can be compared with the references, if they are of another compiler.
fn foreign(references: &References) -> Result<Option<String>, Error> {
    let (theirs, ours) = (&references.toolchain, toolchain()?);
    Ok((*theirs != ours).then(|| {
        format!(
            "the references are of `{theirs}`, and this is `{ours}`; `cargo xtask bench ci --bless` writes new ones"
        )
    }))
}

/// The references of instructions and the most that pass, by the name of what is counted; or why they hold for nothing here.
pub(super) fn bounds() -> Result<Result<BTreeMap<String, [f64; 2]>, String>, Error> {
    let references = read(&place())?;
    if let Some(why) = foreign(&references)? {
        return Ok(Err(why));
    }
    let gates = references.gates.into_iter();
    let of = |(name, reference): (String, Reference)| {
        let name = name.strip_prefix("instructions/")?.to_owned();
        Some((name, [reference.value, reference.most]))
    };
    Ok(Ok(gates.filter_map(of).collect()))
}

/// Measures everything; with references, until it is known that they are kept.
fn measure(references: Option<&References>, quiet: bool) -> Result<Found, Error> {
    // Counting allocations changes nothing for pipelines that make none, and one binary is built sooner than two.
    let memory = Subject::built(&Package::own("trial-memory"))?;
    // So many are certain; a machine that is busy makes it more.
    let tries = references.map_or(TRIES[1], |_| TRIES[0]);
    let progress = Progress::new(COUNTED.len() * tries + 1, quiet);
    let found = measured(&memory, references, tries, &progress);
    progress.end();
    found
}

fn measured(
    memory: &Subject,
    references: Option<&References>,
    tries: usize,
    progress: &Progress,
) -> Result<Found, Error> {
    let mut found = Found::new();
    for case in COUNTED {
        let name = format!("instructions/{case}");
        let most = references.and_then(|references| Some(references.gates.get(&name)?.most));
        let mut tried = 0;
        let counted = least_of(
            most,
            |items| callgrind(&memory.binary, case, items),
            || {
                tried += 1;
                progress.more(usize::from(tried > tries));
                progress.step(&name);
            },
        )?;
        progress.skip(tries.saturating_sub(tried));
        found.insert(name, counted);
    }
    found.insert("size/text".to_owned(), Ok(text_size(&memory.binary)?));
    let is_kept = |(name, value): (&String, &f64)| {
        let reference = references.and_then(|references| references.gates.get(name));
        reference.is_none_or(|reference| *value <= reference.most)
    };
    let mut least = allocations(memory)?;
    progress.step(ALLOCATIONS);
    for _ in 1..ALLOCATION_TRIES {
        if least.iter().all(is_kept) {
            break;
        }
        progress.more(1);
        for (name, value) in allocations(memory)? {
            least
                .entry(name)
                .and_modify(|least| *least = least.min(value))
                .or_insert(value);
        }
        progress.step(ALLOCATIONS);
    }
    found.extend(least.into_iter().map(|(name, value)| (name, Ok(value))));
    Ok(found)
}

/// How often allocations are counted at most: a table that grows late, because a busy machine let few items come early, does so once.
const ALLOCATION_TRIES: usize = 3;

/// The pipeline whose allocations are counted, as its gate is called.
const ALLOCATIONS: &str = "allocations/events";

/// Allocations an item, of the pipeline and of each of its stages.
fn allocations(memory: &Subject) -> Result<BTreeMap<String, f64>, Error> {
    let request = Request::new("memory/events", 1, [100, 200]);
    let answer = memory.binary()?.run(&request)?;
    let each = answer.metrics.get("allocs_per_item").copied();
    let each = each.ok_or_else(|| Error::Tool("the trial did not count allocations".to_owned()))?;
    let of = |stage: &StageShare| {
        let each = stage.allocations as f64 / stage.items.max(1) as f64;
        (format!("allocations/events/{}", stage.name), each)
    };
    let whole = (ALLOCATIONS.to_owned(), each);
    Ok(std::iter::once(whole)
        .chain(answer.stages.iter().map(of))
        .collect())
}

/// How often instructions are counted at least, and at most. How long a batch took decides how large the next one is, and a machine
/// that is busy makes batches smaller: it adds instructions and never saves any, so the least is what the code takes. Whoever is above
/// the bound is counted again, because a machine that is busy now may not be so later, and code that takes more always does.
const TRIES: [usize; 2] = [2, 10];

/// The least difference an item of two numbers of items, each counted some times; or why they cannot be counted here. Once it is at
/// most `most`, more tries change nothing. `told` is called after each.
fn least_of(
    most: Option<f64>,
    mut count: impl FnMut(u64) -> Result<Result<f64, String>, Error>,
    mut told: impl FnMut(),
) -> Result<Result<f64, String>, Error> {
    let mut least = [f64::INFINITY; 2];
    let each = |least: [f64; 2]| (least[1] - least[0]) / (ITEMS[1] - ITEMS[0]) as f64;
    for tried in 1..=TRIES[1] {
        for (least, items) in least.iter_mut().zip(ITEMS) {
            match count(items)? {
                Ok(found) => *least = least.min(found),
                Err(why) => return Ok(Err(why)),
            }
        }
        told();
        if tried >= TRIES[0] && most.is_some_and(|most| each(least) <= most) {
            break;
        }
    }
    Ok(Ok(each(least)))
}

pub(super) fn callgrind(
    trial: &Path,
    case: &str,
    items: u64,
) -> Result<Result<f64, String>, Error> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(trial)
        .args(["count", case, &items.to_string()])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err(
                "valgrind is not installed (`apt-get install valgrind`)".to_owned(),
            ));
        }
        Err(error) => return Err(Error::Tool(format!("cannot run valgrind: {error}"))),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let failed = || {
        Error::Tool(format!(
            "valgrind could not count `{case}`: {}",
            said.trim()
        ))
    };
    match output.status.success() {
        true => collected(&said).map(Ok).ok_or_else(failed),
        false => Err(failed()),
    }
}

/// Of `==7== Collected : 123`.
fn collected(said: &str) -> Option<f64> {
    let line = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.split_whitespace().next()?.parse().ok()
}

/// Bytes of the text section.
fn text_size(trial: &Path) -> Result<f64, Error> {
    let bytes = fs::read(trial).map_err(|error| Error::file("read", trial, &error))?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|error| Error::Tool(format!("`{}`: {error}", trial.display())))?;
    let text = file
        .section_by_name(".text")
        .map(|section| section.size() as f64);
    text.ok_or_else(|| Error::Tool(format!("`{}` has no text section", trial.display())))
}

/// The compiler and the target.
fn toolchain() -> Result<String, Error> {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let output = Command::new(rustc)
        .arg("-vV")
        .current_dir(build::root())
        .output()
        .map_err(|error| Error::Tool(format!("cannot run rustc: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("unknown", str::trim).to_owned()
    };
    Ok(format!("{} {}", field("release:"), field("host:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_collected_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(said), Some(123_456.0));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn a_busy_machine_fails_no_gate_and_code_that_takes_more_does() {
        // Eight instructions an item and a start of a million; `busy` says by how much a try takes longer.
        let check = |busy: &[f64], most: Option<f64>, expect: f64, tries: usize| {
            let mut tried = 0;
            let mut told = 0;
            let count = |items| {
                let more = busy[(tried / 2).min(busy.len() - 1)];
                tried += 1;
                Ok(Ok(1e6 + 8.0 * items as f64 * (1.0 + more)))
            };
            let found = least_of(most, count, || told += 1);
            let found = found.expect("nothing fails").expect("it is counted");
            assert!((found - expect).abs() < 1e-6, "{found}");
            assert_eq!((tried, told), (2 * tries, tries));
        };
        check(&[0.0], Some(8.4), 8.0, 2);
        check(&[0.3, 0.3, 0.2, 0.0, 0.3], Some(8.4), 8.0, 4);
        check(&[0.3], Some(8.4), 10.4, 10);
        check(&[0.3, 0.0, 0.3], None, 8.0, 10);
        let none = least_of(None, |_| Ok(Err("no valgrind".to_owned())), || ());
        assert_eq!(none.expect("nothing fails"), Err("no valgrind".to_owned()));
    }
}
