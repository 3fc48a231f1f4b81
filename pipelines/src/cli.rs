//! The command line: one subcommand for each pipeline.

use std::{net::SocketAddr, process::ExitCode};

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

/// An address to listen at, as all pipelines take it.
///
/// # Errors
///
/// What to type instead.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let port = || {
        let last = text.rsplit(':').next();
        last.filter(|port| port.parse::<u16>().is_ok())
    };
    text.parse().map_err(|_| {
        format!(
            "must be an IP address and a port, such as `127.0.0.1:{}`; names are not looked up",
            port().unwrap_or("5170")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_or_it_is_said_what_to_type() {
        for fine in ["127.0.0.1:5170", "[::1]:0", "0.0.0.0:80"] {
            assert_eq!(
                address(fine).map(|found| found.to_string()),
                Ok(fine.to_owned())
            );
        }
        let check = |text: &str, expect: &str| {
            let why = address(text).expect_err(text);
            assert!(
                why.contains(&format!("such as `{expect}`")),
                "{text}: {why}"
            );
        };
        check("localhost:5171", "127.0.0.1:5171");
        check("5171", "127.0.0.1:5171");
        check(":5171", "127.0.0.1:5171");
        check("localhost", "127.0.0.1:5170");
        check("127.0.0.1", "127.0.0.1:5170");
        check("127.0.0.1:99999", "127.0.0.1:5170");
        check("::1", "127.0.0.1:1");
        check("", "127.0.0.1:5170");
    }
}
