//! The commands of pipewright's developers: `cargo xtask` lists them.

#![forbid(unsafe_code)]
#![deny(clippy::print_stdout)]

mod flags;

mod check;
mod dead_letters;
mod expand;
mod graph;
mod hw;
mod read;
mod say;

mod bench;
mod budgets;
mod chaos;
mod ci;
mod fuzz;
mod look;
mod loom;
mod peers;
mod planted;
mod sanitize;
mod shuttle;
mod tidy;
mod ui;

mod cargo;

use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use clap::{CommandFactory, Parser};

use flags::{Command, Flags};
use fuzz::Until;

/// What a command ends with: did it find everything in order, or could it not do its work?
type Outcome = Result<bool, String>;

fn main() -> ExitCode {
    end_with_the_reader();
    match run(Flags::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// A command whose reader has enough, such as `head`, ends as other commands do: quietly, by the signal.
fn end_with_the_reader() {
    let always = Arc::new(AtomicBool::new(true));
    // Where it cannot be had, printing fails aloud instead.
    let _ = signal_hook::flag::register_conditional_default(signal_hook::consts::SIGPIPE, always);
}

fn run(flags: Flags) -> Result<ExitCode, String> {
    let Some(command) = flags.command else {
        let help = Flags::command().render_help();
        return say::text(&help.ansi().to_string()).map(|()| ExitCode::SUCCESS);
    };
    let outcome = match command {
        Command::Hw { command } => return Ok(hw::run(command)),
        Command::Bench { args } => return bench::run(&args),
        Command::Check { files } => check::run(&files),
        Command::Graph { file, format } => graph::run(&file, format.get()),
        Command::Expand { file } => expand::run(&file),
        Command::DeadLetters { command } => dead_letters::run(command),
        Command::Ci { skip, deny_skipped } => ci::run(&skip, deny_skipped),
        Command::Tidy { folder } => tidy::run(folder.as_deref()),
        Command::Loom => loom::run(),
        Command::Look { pages, out } => look::run(&pages, &out),
        Command::Chaos { quick, seed } => chaos::run(quick, seed),
        Command::Shuttle {
            test,
            replay: Some(file),
            ..
        } => shuttle::replay(&test, &file),
        Command::Shuttle {
            test,
            iterations,
            seed,
            ..
        } => shuttle::run(&test, iterations, seed),
        Command::Fuzz {
            target,
            seconds,
            runs,
            keep,
        } => fuzz::run(target.as_deref(), Until::new(seconds, runs), keep),
        Command::Sanitize { sanitizer } => sanitize::run(sanitizer),
        Command::Planted { names, check } => planted::run(&names, check),
        Command::Peers { args } => peers::run(&args),
        Command::Budgets {
            ids,
            quick,
            rounds,
            json,
        } => budgets::run(&ids, quick, rounds, json.as_deref()),
        Command::Ui { bless } => ui::run(bless),
    };
    outcome.map(|fine| {
        if fine {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    })
}
