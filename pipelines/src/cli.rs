//! The command line: one subcommand for each pipeline.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{events, gateway, txpool};

/// Runs a ready-made pipeline.
#[derive(Debug, Parser)]
#[command(name = "pipewright", version)]
struct Args {
    #[command(subcommand)]
    pipeline: Pipeline,
}

#[derive(Debug, Subcommand)]
enum Pipeline {
    Events(Box<events::cli::Args>),
    Gateway(gateway::cli::Args),
    PolicyServer(gateway::cli::ServerArgs),
    Txpool(txpool::cli::Args),
}

/// Runs what the command line asks for, with the exit codes of [`telling`](crate::telling).
pub fn main() -> ExitCode {
    match Args::parse().pipeline {
        Pipeline::Events(args) => events::cli::run(&args),
        Pipeline::Gateway(args) => gateway::cli::run(&args),
        Pipeline::PolicyServer(args) => gateway::cli::serve_policies(&args),
        Pipeline::Txpool(args) => txpool::cli::run(&args),
    }
}
