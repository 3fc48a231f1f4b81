//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{ci::Step, dead_letters, graph::Format, hw, sanitize::Sanitizer, shuttle};

/// The commands of pipewright's developers
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check pipelines in RON and Rust files without compiling them, and tuning files
    Check {
        /// Topologies (`.ron`), tuning files (`.tuning.ron`) and Rust files with `#[pipeline]` modules
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Draw the pipelines of a file: segments, links and lanes
    Graph {
        /// A topology (`.ron`) or a Rust file with `#[pipeline]` modules
        file: PathBuf,
        #[command(flatten)]
        format: Formats,
    },
    /// Print the code that `#[pipeline]` makes of the pipelines of a Rust file
    Expand {
        /// A Rust file with `#[pipeline]` modules
        file: PathBuf,
    },
    /// List, show or replay the letters in files of dead letters
    DeadLetters {
        #[command(subcommand)]
        command: dead_letters::Command,
    },
    /// Run everything that has to pass before a change is taken
    Ci {
        /// Leave out a step; can be given several times
        #[arg(long, value_name = "STEP")]
        skip: Vec<Step>,
        /// Fail if a step could not look at everything on this machine, because it has no valgrind or another toolchain
        #[arg(long)]
        deny_skipped: bool,
    },
    /// Check the house rules that a program can check
    Tidy {
        /// The folder to look at [default: the repository]
        folder: Option<PathBuf>,
    },
    /// Run the loom models of the lock-free pieces
    Loom,
    /// Look at reports in a headless browser: pictures, and what is cut off, overlaps or is empty
    Look {
        /// Pages, such as `hw probe --html` writes
        #[arg(required = true, value_name = "PAGE")]
        pages: Vec<PathBuf>,
        /// The folder for the pictures
        #[arg(long, value_name = "FOLDER", default_value = "target/look")]
        out: PathBuf,
    },
    /// Put faults into runs, with all of their faults: panics, errors, kills, disks that fail
    Chaos {
        /// With a tenth of the faults, as in all tests
        #[arg(long)]
        quick: bool,
        /// Repeat the faults of this number, where they are drawn [default: others each time]
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Run whole pipelines in random interleavings
    Shuttle {
        /// Only tests that have this in their name
        #[arg(default_value = "", hide_default_value = true)]
        test: String,
        /// Schedules, divided among the tests
        #[arg(long, value_name = "N", default_value_t = shuttle::FULL)]
        iterations: usize,
        /// Draw the schedules again that this number gave [default: another one each time]
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Repeat the schedule in this file, which a test left that failed; the code must be as it was then
        #[arg(long, value_name = "FILE", requires = "test", conflicts_with_all = ["iterations", "seed"])]
        replay: Option<PathBuf>,
    },
    /// Look for input that breaks what reads topologies, tuning files, tokens and dead letters
    Fuzz {
        /// Only this one: `topology`, `tuning`, `tokens` or `dead_letters`
        target: Option<String>,
        /// How long each is fuzzed [default: 60, or without an end where `--runs` is given]
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// How many inputs each is given at most
        #[arg(long, value_name = "N")]
        runs: Option<u64>,
        /// Put what reached new code into the corpus in `tests/fuzz/corpus`
        #[arg(long)]
        keep: bool,
    },
    /// Plant bugs in a copy of the repository, and see that a test fails for each of them
    Planted {
        /// Only bugs that have one of these in their name
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Only see whether every patch still fits
        #[arg(long)]
        check: bool,
    },
    /// Run the runtime's tests with every access to memory watched
    Sanitize {
        /// What is watched [default: one after the other]
        sanitizer: Option<Sanitizer>,
    },
    /// Measure pipewright against its peers, in a build of its own; `--list` shows the cases, `--help` the options
    #[command(disable_help_flag = true)]
    Peers {
        /// Cases and options, as `cargo xtask peers --help` shows them
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARG"
        )]
        args: Vec<OsString>,
    },
    /// Measure what each mechanism costs against its budget, and fail if one is missed
    Budgets {
        /// Only these, such as `B5` or `load`; `compile` runs only when it is named, because it takes minutes
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// A tenth of the work, fewer times
        #[arg(long)]
        quick: bool,
        /// Times that each budget is measured [default: 7, or 3 if quick]
        #[arg(long)]
        rounds: Option<usize>,
        /// Also write the figures to this file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Check what this machine offers a pipeline, and what to change
    Hw {
        #[command(subcommand)]
        command: hw::Command,
    },
    /// Measure pipelines, compare revisions, and judge with verdicts that can be trusted; `bench help` shows the commands
    #[command(disable_help_flag = true)]
    Bench {
        /// A command and its options, as `cargo xtask bench help` shows them
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARG"
        )]
        args: Vec<OsString>,
    },
    /// Run the compile-error cases
    Ui {
        /// Rewrite the expected messages
        #[arg(long)]
        bless: bool,
    },
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Formats {
    /// Draw it for the terminal (the default)
    #[arg(long)]
    text: bool,
    /// Draw it as a mermaid flowchart
    #[arg(long)]
    mermaid: bool,
    /// Draw it as a Graphviz digraph
    #[arg(long)]
    dot: bool,
}

impl Formats {
    pub(crate) fn get(&self) -> Format {
        match (self.mermaid, self.dot) {
            (true, _) => Format::Mermaid,
            (_, true) => Format::Dot,
            _ => Format::Text,
        }
    }
}
