//! pipewright against its peers and against what the machine can do: `cargo xtask peers`.
//!
//! The cases and their goals are in `cases.toml`; how each contender is written is in `cases/`, and why that is fair in
//! `README.md`.

#![forbid(unsafe_code)]

mod cases;
mod harness;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;

use harness::{
    Scale, catalogue,
    json::{CaseReport, Report},
    machine::Machine,
    rounds::{self, Outcome, Rounds},
    table,
    verdict::{self, Judged, Verdict},
};

/// Measures pipewright against its peers and against what the machine can do
#[derive(Debug, Parser)]
#[command(name = "cargo xtask peers", bin_name = "cargo xtask peers")]
struct Args {
    /// Cases, or how their names begin [default: all]; `--list` shows them
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Rounds that count, after one that warms up; medians of fewer than 7 say little
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Write all results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Tiny sizes and one round, to see that everything is right; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Fail if a goal is missed
    #[arg(long)]
    strict: bool,
    /// Seed of the order in which contenders take turns [default: drawn]
    #[arg(long)]
    seed: Option<u64>,
    /// Show the cases, without building anything
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// `true` if every result was right, and every goal met where that is asked for.
fn run(args: &Args) -> Result<bool, String> {
    let cases = catalogue::chosen(&args.cases)?;
    if args.list {
        cases
            .iter()
            .for_each(|case| println!("{:24} {}", case.name, case.about));
        return Ok(true);
    }
    let machine = Machine::look();
    let rounds = Rounds {
        runs: if args.quick { 1 } else { args.runs as usize },
        scale: if args.quick {
            Scale::Quick
        } else {
            Scale::Full
        },
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
    };
    println!("{machine}");
    println!(
        "rounds:  {} after a warm-up, order drawn with --seed {}",
        rounds.runs, rounds.seed
    );
    let mut outcomes: Vec<(Outcome<'_>, Vec<Judged>)> = Vec::new();
    for case in &cases {
        let outcome = rounds::run(case, rounds)?;
        println!("{}", table::rows(&outcome));
        let goals = verdict::judge(&outcome)?;
        outcomes.push((outcome, goals));
    }
    if let Some(path) = &args.json {
        let mut report = Report::new(&machine, rounds);
        report.cases = outcomes
            .iter()
            .map(|(outcome, goals)| CaseReport::new(outcome, goals))
            .collect();
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        fs::write(path, text)
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    let wrong = outcomes
        .iter()
        .flat_map(|(outcome, _)| &outcome.rows)
        .filter(|row| row.wrong().is_some());
    let wrong = wrong.count();
    let goals: Vec<_> = outcomes
        .into_iter()
        .map(|(outcome, goals)| (outcome.case.name.as_str(), goals))
        .collect();
    println!("\n## Goals\n\n{}", table::goals(&goals));
    let all = || goals.iter().flat_map(|(_, goals)| goals);
    let count = |word| all().filter(|goal| goal.verdict.word() == word).count();
    println!(
        "\n{} met, {} missed, {} not measured; {wrong} wrong",
        count("met"),
        count("MISSED"),
        count("not measured")
    );
    let missed = all().any(|goal| !matches!(goal.verdict, Verdict::Met { .. }));
    Ok(wrong == 0 && !(args.strict && missed))
}
