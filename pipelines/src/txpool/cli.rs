//! The command line of the pipeline.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::ValueEnum;

use super::{
    env::Env,
    feed::Input,
    generate::Generator,
    progress,
    run::{Outcome, Settings},
    summary::Summary,
};
use crate::telling::{Out, Told, error, fail, refuse};

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
        Err(message) => return fail(&message),
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
    let (summary, ending) = (&outcome.summary, &outcome.ending);
    let text = match args.json {
        true => summary.to_json(ending).to_string(),
        false => summary.text(ending).to_string(),
    };
    let told = Told {
        ending,
        summary: text,
        out: Out::Stdout,
        notes: faults(summary),
        is_good: outcome.is_good(),
        reasons: reasons(summary),
    };
    told.report()
}

fn faults(summary: &Summary) -> Vec<String> {
    let mut notes: Vec<_> = summary.faults.iter().map(|fault| error(fault)).collect();
    let more = summary.failed.saturating_sub(summary.faults.len() as u64);
    if more > 0 {
        notes.push(error(&format!("and {more} more")));
    }
    notes
}

fn reasons(summary: &Summary) -> Vec<String> {
    match summary.failed {
        0 => Vec::new(),
        1 => vec!["1 fault in the input".to_owned()],
        more => vec![format!("{more} faults in the input")],
    }
}
