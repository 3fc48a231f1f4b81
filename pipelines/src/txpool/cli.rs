//! The command line of the pipeline.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::ValueEnum;
use pipewright::Health;

use super::{
    env::Env,
    feed::Input,
    generate::Generator,
    progress,
    run::{Failure, Outcome, Settings},
    summary::Summary,
};

/// Decides which Ethereum transactions a node may keep, and checks every hash, sender and root on the way.
///
/// Without `--input` it runs on generated blocks. Exits with 1 if anything in the input is broken or contradicts itself. When it
/// is asked to end (SIGTERM, SIGINT) it finishes what it has read, for at most 25 s, and exits with 4 if that is not enough; at the
/// second signal it drops what is left.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of blocks as `eth_getBlockByNumber` returns them with full transactions; `-` is standard input
    #[arg(long, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,

    /// Go over the input so many times; sender state starts afresh each time
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Numbers of the pipeline to change, in RON; read again when the file changes
    #[arg(long, value_name = "FILE")]
    tuning: Option<PathBuf>,

    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: Option<u32>,

    /// Whether blocks are settled in the order of the input; each sender's transactions always stay in order
    #[arg(long, value_enum, default_value_t = Order::Keep)]
    order: Order,

    /// Generate so many transactions; they are signed before the clock starts and held in memory, about 1 KB each
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000_000), conflicts_with = "input")]
    transactions: u32,

    /// Generate from this seed
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "input")]
    seed: u64,
}

/// Whether the input's order is kept where nothing else needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Blocks are put together and settled in the order of the input
    Keep,
    /// Blocks are settled as they get ready
    Any,
}

/// Runs the pipeline as the command line asks.
pub fn run(args: &Args) -> ExitCode {
    let inputs = match inputs(args) {
        Ok(inputs) => inputs,
        Err(message) => return fail(&message, 1),
    };
    let settings = Settings {
        order: args.order,
        workers: args.workers,
        tuning: args.tuning.clone(),
    };
    match settings.run(Env::new(inputs, args.repeat)) {
        Ok(outcome) => report(args, &outcome),
        Err(failure) => refuse(&failure),
    }
}

fn inputs(args: &Args) -> Result<Vec<Input>, String> {
    if args.input.is_empty() {
        return Ok(vec![generated(args)?]);
    }
    Ok(args
        .input
        .iter()
        .map(|path| {
            if path.as_os_str() == "-" {
                Input::Stdin
            } else {
                Input::File(path.clone())
            }
        })
        .collect())
}

fn generated(args: &Args) -> Result<Input, String> {
    let blocks =
        Generator::new(args.seed, args.transactions as usize).map_err(|error| error.to_string())?;
    let bar = progress::signing(&blocks);
    let texts: Result<Vec<_>, _> = bar.wrap_iter(blocks).collect();
    bar.finish_and_clear();
    let texts = texts.map_err(|error| error.to_string())?;
    Ok(Input::Texts(
        format!("generated from seed {}", args.seed).into(),
        Arc::from(texts),
    ))
}

fn report(args: &Args, outcome: &Outcome) -> ExitCode {
    let summary = &outcome.summary;
    let text = match args.json {
        true => summary
            .to_json(outcome.elapsed, &outcome.ledger, &outcome.health)
            .to_string(),
        false => summary.text(outcome.elapsed, &outcome.ledger).to_string(),
    };
    for retuning in &outcome.retunings {
        drop(writeln!(io::stderr(), "tuning: {retuning}"));
    }
    if let Health::Degraded(_) = outcome.health {
        drop(writeln!(io::stderr(), "{}", outcome.health));
    }
    tell_faults(summary);
    outcome
        .problems
        .iter()
        .for_each(|problem| complain(problem));
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write the summary: {error}"), 1)
        }
        _ if outcome.is_good() => ExitCode::SUCCESS,
        _ if outcome.is_late => fail(&verdict(outcome), 4),
        _ => fail(&verdict(outcome), 1),
    }
}

fn tell_faults(summary: &Summary) {
    for fault in &summary.faults {
        complain(fault);
    }
    let more = summary.failed.saturating_sub(summary.faults.len() as u64);
    if more > 0 {
        complain(&format!("and {more} more"));
    }
}

fn verdict(outcome: &Outcome) -> String {
    let faults = match outcome.summary.failed {
        0 => "the run failed".to_owned(),
        1 => "the run failed: 1 fault in the input".to_owned(),
        more => format!("the run failed: {more} faults in the input"),
    };
    if outcome.problems.is_empty() {
        faults
    } else {
        format!("{faults}; the pipeline itself went wrong, and its counts are not complete")
    }
}

/// Tells why there was no run.
fn refuse(failure: &Failure) -> ExitCode {
    let message = failure.to_string();
    if failure.is_rendered() {
        drop(writeln!(io::stderr(), "{}", message.trim_end()));
    } else {
        complain(&message);
    }
    ExitCode::from(if failure.is_usage() { 2 } else { 1 })
}

fn fail(message: &str, code: u8) -> ExitCode {
    complain(message);
    ExitCode::from(code)
}

/// Standard error that is closed leaves nobody to tell.
fn complain(message: &str) {
    drop(writeln!(io::stderr(), "error: {message}"));
}
