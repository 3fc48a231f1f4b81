//! The command line of the pipeline.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::ArgGroup;

use super::{
    entrance::Entrance,
    feed::{Feed, Input},
    files,
    generate::{self, Generator},
    lines,
    positions::Positions,
    run::{Outcome, Settings},
    service::{self, Overflow, QUEUE, Service, Sink},
    summary::Summary,
};
use crate::{
    cli::address,
    http::CLIENT,
    telling::{Out, Told, fail_usage, refuse},
};

/// Routes events to the services that subscribe to them.
///
/// Without an input it runs on 100,000 generated events. Events are lines of JSON, syslog, Apache, OpenSSH, HDFS, Zookeeper or
/// OpenStack. With `--watch`, `--tcp`, `--unix`, `--http` or `--follow` it goes on until it is asked to end (SIGTERM, SIGINT): then it finishes
/// what it has taken, for at most 25 s, and exits with 4 if that is not enough; at the second signal it drops what is left. Exits
/// with 1 if an input could not be read or a service could not take its events; lines that are no events are counted.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("ports").multiple(true).args(["tcp", "http"])))]
#[command(group(ArgGroup::new("lines").multiple(true).args(["input", "tcp", "unix", "http"])))]
#[command(group(ArgGroup::new("clients").multiple(true).args(["tcp", "unix", "http"])))]
pub struct Args {
    /// Files of events; `-` is standard input
    #[arg(long, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,

    /// Read on when the files grow, are rotated or appear
    #[arg(long, requires = "input")]
    follow: bool,

    /// Keep in this file how far followed files were read, and go on from there at the next start
    #[arg(long, value_name = "FILE", requires = "follow")]
    positions: Option<PathBuf>,

    /// Directories whose changes are events
    #[arg(long, num_args = 1.., value_name = "DIR")]
    watch: Vec<PathBuf>,

    /// Take lines by TCP at these addresses
    #[arg(long, num_args = 1.., value_name = "ADDRESS:PORT", value_parser = address)]
    tcp: Vec<SocketAddr>,

    /// Take lines by Unix sockets at these paths
    #[arg(long, num_args = 1.., value_name = "PATH")]
    unix: Vec<PathBuf>,

    /// Take lines in the bodies of `POST /v1/events` at these addresses
    #[arg(long, num_args = 1.., value_name = "ADDRESS:PORT", value_parser = address)]
    http: Vec<SocketAddr>,

    /// A name by which HTTP requests may ask for this server, besides its address and `localhost`
    #[arg(long, num_args = 1.., value_name = "NAME", requires = "http")]
    allow_host: Vec<String>,

    /// Milliseconds that a client may take for a line, or for the head or the body of a request; then it is let go
    #[arg(long, default_value_t = CLIENT.as_millis() as u64, value_name = "N", requires = "clients", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    client_ms: u64,

    /// Listen at addresses that other machines reach, too; who reaches them may send events
    #[arg(long, requires = "ports")]
    public: bool,

    /// Generate so many events
    #[arg(long, value_name = "N")]
    generate: Option<u64>,

    /// Generate from this seed [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Generate events of at least so many bytes [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=generate::LONGEST as i64))]
    bytes: Option<u32>,

    /// Route to so many example services, which count; the first one, `audit`, gets everything
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=service::MOST as i64))]
    services: u32,

    /// Route to the services of this file, in RON
    #[arg(long, value_name = "FILE", conflicts_with = "services")]
    config: Option<PathBuf>,

    /// Write what services without a sink of their own get to `DIR/NAME.ndjson`; the folder is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What becomes of an event when the queue of its service is full [default: `block` if all inputs can wait, else `drop_oldest`]
    #[arg(long, value_enum)]
    overflow: Option<Overflow>,

    /// Events that may wait for a service
    #[arg(long, default_value_t = QUEUE, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=service::QUEUE_MOST as i64))]
    queue: u32,

    /// Leave an event out that repeats another one of the last so many seconds; 0 leaves none out
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    window: f64,

    /// The year of formats that do not write it [default: this one]
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1970..=9999))]
    year: Option<i16>,

    /// Bytes that a line may have
    #[arg(long, default_value_t = lines::MOST as u32, value_name = "N", requires = "lines", value_parser = clap::value_parser!(u32).range(64..=64 << 20))]
    max_line: u32,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Numbers of the pipeline to change, in RON; read again when the file changes
    #[arg(long, value_name = "FILE")]
    tuning: Option<PathBuf>,

    /// Worker threads, besides one for each service [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: Option<u32>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0 to 86400".to_owned()),
    }
}

/// Runs the pipeline as the command line asks.
pub fn run(args: &Args) -> ExitCode {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(message) => return fail_usage(&message),
    };
    let is_live = settings.is_live();
    match settings.run() {
        Ok(outcome) => report(args, is_live, &outcome),
        Err(failure) => refuse(&failure),
    }
}

fn settings(args: &Args) -> Result<Settings, String> {
    let (inputs, services) = (inputs(args)?, services(args)?);
    // Before positions are kept, which writes their file.
    let options = [
        ("--config", args.config.as_deref()),
        ("--tuning", args.tuning.as_deref()),
    ];
    files::check(&options, &inputs, &services, args.positions.as_deref())
        .map_err(|shared| shared.to_string())?;
    let mut settings = Settings {
        feed: Feed {
            inputs,
            follow: args.follow,
            positions: positions(args)?,
            most: args.max_line as usize,
        },
        entrances: entrances(args)?,
        client: Duration::from_millis(args.client_ms),
        services,
        overflow: Overflow::Block,
        queue: args.queue,
        window: Duration::from_secs_f64(args.window),
        year: args.year.unwrap_or_else(this_year),
        workers: args.workers,
        tuning: args.tuning.clone(),
    };
    // Files, pipes and the generator wait; who sends by a socket or changes a file does not.
    settings.overflow = args
        .overflow
        .unwrap_or(match settings.entrances.is_empty() {
            true => Overflow::Block,
            false => Overflow::DropOldest,
        });
    Ok(settings)
}

fn positions(args: &Args) -> Result<Option<Arc<Positions>>, String> {
    let Some(file) = &args.positions else {
        return Ok(None);
    };
    let opened = Positions::open(file.clone()).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(opened)))
}

fn this_year() -> i16 {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year()
}

fn inputs(args: &Args) -> Result<Vec<Input>, String> {
    let file = |path: &PathBuf| match path.as_os_str() == "-" {
        true => Input::Stdin,
        false => Input::File(path.clone()),
    };
    let mut inputs: Vec<_> = args.input.iter().map(file).collect();
    let listens = [
        args.tcp.len(),
        args.http.len(),
        args.unix.len(),
        args.watch.len(),
    ] != [0; 4];
    let lines = match args.generate {
        None if inputs.is_empty() && !listens => Some(100_000),
        other => other,
    };
    let Some(lines) = lines else {
        let given = args
            .seed
            .map(|_| "--seed")
            .or(args.bytes.map(|_| "--bytes"));
        return given.map_or(Ok(inputs), |option| {
            Err(format!(
                "`{option}` is for generated events, and there are none: add `--generate N`, or leave it out"
            ))
        });
    };
    let (seed, bytes) = (args.seed.unwrap_or(1), args.bytes.unwrap_or(0));
    let generator = Generator::new(seed, lines, bytes as usize);
    inputs.push(Input::Generated(generator));
    Ok(inputs)
}

fn entrances(args: &Args) -> Result<Vec<Entrance>, String> {
    let remote = args
        .tcp
        .iter()
        .chain(&args.http)
        .find(|address| !address.ip().is_loopback());
    if let Some(address) = remote
        && !args.public
    {
        return Err(format!(
            "{address} can be reached by other machines, who may then send events: say `--public`, or listen at 127.0.0.1:{}",
            address.port()
        ));
    }
    let watch = args.watch.iter().cloned().map(Entrance::Watch);
    let tcp = args.tcp.iter().copied().map(Entrance::Tcp);
    let unix = args.unix.iter().cloned().map(Entrance::Unix);
    let http = args.http.iter().map(|address| Entrance::Http {
        address: *address,
        public: args.public,
        hosts: args.allow_host.clone(),
    });
    Ok(watch.chain(tcp).chain(unix).chain(http).collect())
}

fn services(args: &Args) -> Result<Vec<Service>, String> {
    let mut services = match &args.config {
        Some(path) => service::read(path.clone()).map_err(|error| error.to_string())?,
        None => service::examples(args.services as usize),
    };
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        for service in &mut services {
            if matches!(service.sink, Sink::Count) {
                service.sink = Sink::File(folder.join(format!("{}.ndjson", service.name)));
            }
        }
    }
    Ok(services)
}

fn report(args: &Args, is_live: bool, outcome: &Outcome) -> ExitCode {
    let (summary, ending) = (&outcome.summary, &outcome.ending);
    let text = match args.json {
        true => summary.to_json(ending).to_string(),
        false => summary.text(ending).to_string(),
    };
    let told = Told {
        ending,
        summary: text,
        out: Out::Stdout,
        // Who goes on until it is asked to end has told them already.
        notes: match is_live {
            true => Vec::new(),
            false => rejects(summary),
        },
        is_good: outcome.is_good(),
        reasons: reasons(summary),
    };
    told.report()
}

/// Bad lines are nothing that a run fails of, so they are no errors.
fn rejects(summary: &Summary) -> Vec<String> {
    let rejects = &summary.rejects;
    let told = rejects.told.iter();
    let mut notes: Vec<_> = told.map(|told| format!("rejected: {told}")).collect();
    let all = rejects.unreadable + rejects.by_reason.values().sum::<u64>();
    let more = all.saturating_sub(rejects.told.len() as u64);
    if more > 0 {
        notes.push(format!("rejected: and {more} more"));
    }
    notes
}

fn reasons(summary: &Summary) -> Vec<String> {
    let mut reasons = Vec::new();
    if summary.rejects.unreadable > 0 {
        reasons.push(format!(
            "inputs that could not be read: {}",
            summary.rejects.unreadable
        ));
    }
    if summary.missed() > 0 {
        reasons.push(format!(
            "services could not take {} of their events",
            summary.missed()
        ));
    }
    if !summary.is_balanced() {
        reasons.push("not all deliveries are accounted for".to_owned());
    }
    reasons
}
