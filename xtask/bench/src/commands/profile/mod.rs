//! `bench profile`: where the time goes, as a flame graph.
//!
//! It is a run of its own, of a build of its own with frame pointers and the names of stages, and it is interrupted a thousand times
//! a second: no number of it is compared with anything, and it saves no result.

mod flame;
mod record;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    build::{self, How, Package, Subject},
    load::ItemArgs,
    options::{during_ms, named},
    show,
};
use crate::{
    error::{Error, code},
    protocol::Request,
    results::replace,
};
use record::{Recorder, Tool};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario
    #[arg(default_value = "throughput/events")]
    scenario: String,
    /// Draw what differs from this revision or binary of trials too
    #[arg(long, value_name = "REV|FILE")]
    base: Option<String>,
    /// A binary of trials [default: that of the repository, which is built with frame pointers]
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// What takes the samples
    #[arg(long, value_enum, default_value_t = Tool::Auto)]
    tool: Tool,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "5s")]
    during: String,
    /// Samples a second
    #[arg(long, value_name = "N", default_value_t = 997, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hertz: u32,
    /// How many workers the pipeline has [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    #[command(flatten)]
    items: ItemArgs,
    /// Where the graphs are written [default: target/pipewright/bench/profile]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print where the time goes only
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// Why there is none; empty where there is one.
    skipped: Vec<String>,
    #[serde(flatten)]
    table: Option<flame::Table>,
    written: Vec<PathBuf>,
    /// What is told of it besides.
    #[serde(skip)]
    hint: String,
}

impl Found {
    fn print(&self, args: &Args) -> Result<u8, Error> {
        if args.json {
            show::json(self)?;
            return Ok(code::PASS);
        }
        if !self.skipped.is_empty() {
            let why = self.skipped.join("\n  ");
            show::print(&format!("skipped: no profile can be made here\n  {why}"))?;
            return Ok(code::PASS);
        }
        if let Some(table) = &self.table {
            show::print(&table.to_string())?;
        }
        if !args.quiet {
            for place in &self.written {
                show::print(&format!("written: {}", place.display()))?;
            }
            show::print(&self.hint)?;
        }
        Ok(code::PASS)
    }

    fn write(&mut self, place: PathBuf, bytes: &[u8]) -> Result<(), Error> {
        replace(&place, |file| file.write_all(bytes))
            .map_err(|error| Error::file("write", &place, &error))?;
        self.written.push(place);
        Ok(())
    }
}

/// `bench profile`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let measure_ms = during_ms(&args.during, Duration::from_millis(1))?;
    let asked = args.items.asked()?;
    let recorder = match Recorder::find(args.tool, args.hertz)? {
        Ok(recorder) => recorder,
        Err(skipped) => {
            let found = Found {
                skipped,
                ..Found::default()
            };
            return found.print(args);
        }
    };
    if args.base.is_some() && !recorder.folds() {
        return Err(Error::Usage(
            "`--base` needs `perf`: what samply records is for its own viewer".to_owned(),
        ));
    }
    let head = match &args.bin {
        Some(bin) => Subject::named_or_built(Some(bin))?,
        None => Subject::built_as(&Package::own("trial"), How::Profiling)?,
    };
    let listing = head.binary()?.list()?;
    asked.fits(named(&args.scenario, &listing.scenarios)?)?;
    let request = asked.of(Request {
        workers: args.workers.map(|workers| workers as usize),
        ..Request::new(&args.scenario, 1, [200, measure_ms])
    });
    let base = args.base.as_deref();
    let base = base.map(|base| Subject::at_as(base, &Package::own("trial"), How::Profiling));
    let base = base.transpose()?;
    let folder = args.out.clone();
    let folder = folder.unwrap_or_else(|| build::home().join("profile"));
    let name = args.scenario.replace('/', "-");
    if !recorder.folds() {
        let place = folder.join(format!("{name}.json.gz"));
        recorder.keep(&head.binary, &request, &place)?;
        let found = Found {
            hint: format!("look at it with `samply load {}`", place.display()),
            written: vec![place],
            ..Found::default()
        };
        return found.print(args);
    }
    drawn(&recorder, args, &request, &head, base.as_ref(), &folder)?.print(args)
}

/// Draws the graphs into this folder.
fn drawn(
    recorder: &Recorder,
    args: &Args,
    request: &Request,
    head: &Subject,
    base: Option<&Subject>,
    folder: &Path,
) -> Result<Found, Error> {
    let name = args.scenario.replace('/', "-");
    let after = recorder.fold(&head.binary, request)?;
    let mut found = Found {
        table: Some(flame::table(&after)),
        hint: "a profile is no evidence of a change: `cargo xtask bench ab` is".to_owned(),
        ..Found::default()
    };
    let told = |subject: &Subject| format!("{}, {}", args.scenario, subject.code.revision);
    let graph = flame::graph(&after, &told(head))?;
    found.write(folder.join(format!("{name}.folded")), after.as_bytes())?;
    found.write(folder.join(format!("{name}.svg")), &graph)?;
    if let Some(base) = base {
        let before = recorder.fold(&base.binary, request)?;
        let what = format!(
            "{}: {} against {}; red is more of the time than before, blue is less",
            args.scenario, head.code.revision, base.code.revision
        );
        let graph = flame::difference(&before, &after, &what)?;
        let folded = folder.join(format!("{name}-base.folded"));
        found.write(folded, before.as_bytes())?;
        found.write(folder.join(format!("{name}-difference.svg")), &graph)?;
    }
    Ok(found)
}
