//! The commands.

mod ab;
mod breaking;
mod build;
mod capacity;
mod ci;
mod compare;
mod gates;
mod history;
mod implementations;
mod insn;
mod load;
mod memory;
mod options;
mod profile;
mod progress;
mod promote;
mod report;
mod run;
mod saving;
mod scale;
mod selftest;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use options::Common;

/// Benchmarks whose verdicts can be trusted
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what can be measured
    List {
        #[command(flatten)]
        source: options::Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure, and judge by the targets
    Run {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        source: options::Source,
        /// Go on for so long, such as `30min`, with trials of 5 s
        #[arg(long, value_name = "TIME", conflicts_with_all = ["quick", "full", "during"])]
        soak: Option<String>,
        #[command(flatten)]
        load: load::LoadArgs,
    },
    /// Build two revisions and compare them, block by block
    Ab(ab::Args),
    /// Compare two implementations of one interface, block by block; they have to have the same results
    Impl(implementations::Args),
    /// Compare two saved results of one machine; they were not interleaved, so this is a hint and gates nothing
    Compare {
        /// The base; `baseline` is what was promoted for the machine's class
        a: std::path::PathBuf,
        /// What is compared with it
        b: std::path::PathBuf,
        /// Where baselines lie [default: .pipewright]
        #[arg(long, value_name = "FOLDER")]
        folder: Option<std::path::PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a saved result the baseline of its class of machines
    Promote(promote::Args),
    /// What was saved over time on this class of machines, and where it changed
    History {
        #[command(subcommand)]
        action: history::Action,
    },
    /// Draw where the time goes as a flame graph; it is measured by itself, and is no evidence of anything
    Profile(profile::Args),
    /// Find how many items a second a pipeline can take for good
    Capacity(capacity::Args),
    /// Give a pipeline more than it can take: what gives out first, and does it recover? Exit with 11 if not
    Break(breaking::Args),
    /// Measure throughput by the number of workers
    Scale(scale::Args),
    /// Count instructions an item; exit with 12 if there are more than there may be
    Insn(insn::Args),
    /// Write a saved result as one HTML file and as Markdown
    Report(report::Args),
    /// Count what each stage allocates; exit with 12 if one does
    Alloc(memory::AllocArgs),
    /// Is everything given back? Start and end it again and again, watch the live bytes; exit with 12 if anything stays behind
    Mem(memory::MemArgs),
    /// See whether the verdicts can be trusted: find what is planted, and nothing where nothing is
    Selftest(selftest::Args),
    /// The gates that noise cannot touch: instructions, allocations, size of the code
    Ci(ci::Args),
}

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    let done = match Flags::parse().command {
        Command::List { source, json } => run::list(&source, json),
        Command::Run {
            common,
            source,
            soak,
            load,
        } => run::run(&common, &source, soak.as_deref(), &load),
        Command::Ab(args) => ab::run(&args),
        Command::Impl(args) => implementations::run(&args),
        Command::Compare { a, b, folder, json } => compare::with(&a, &b, folder.as_deref(), json),
        Command::Promote(args) => promote::run(&args),
        Command::History { action } => history::run(&action),
        Command::Profile(args) => profile::run(&args),
        Command::Capacity(args) => capacity::run(&args),
        Command::Break(args) => breaking::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Insn(args) => insn::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Alloc(args) => memory::alloc(&args),
        Command::Mem(args) => memory::mem(&args),
        Command::Selftest(args) => selftest::run(&args),
        Command::Ci(args) => ci::run(&args),
    };
    let code = done.unwrap_or_else(|error: Error| {
        eprintln!("error: {error}");
        error.code()
    });
    ExitCode::from(code)
}
