//! The command lines: the gateway, and a policy server for it to ask.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::builder::RangedU64ValueParser;

use super::{
    audit::AuditFile,
    clock::{Clock, Time},
    env::{Config, ConfigError, Teller},
    pdp,
    policy::{Policies, PolicySet},
    reload::Reloader,
    run::{self, Failure, Outcome, Paths, Settings},
    types::Code,
};
use crate::{
    cli::address,
    http::{CLIENT, Hosts, Limits, Server, bind},
    starting,
    telling::{Out, Told, error, fail_usage, refuse, say},
};

/// Decides who may do what: requests from a file or over HTTP, decided by policies in Rego, with a cache in front and an audit behind.
///
/// A request is `{"tenant": .., "subject": .., "action": .., "resource": ..}`, perhaps with `id` and `context`. With `--requests`
/// each line is one, and each gets a line; `--listen` answers `POST /v1/authorize`, `GET /v1/status` and `GET /healthz`. When it is
/// asked to end (SIGTERM, SIGINT) it finishes what it has taken in, for at most 25 s. Exits with 1 if a request got no answer, an answer
/// could not be written down or the run failed, 2 if the policies or the command line are wrong, 4 if it was not over in time.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["requests", "listen"])))]
pub struct Args {
    /// A file of requests, one JSON object a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,

    /// Answer requests over HTTP here
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Write the answers there, one JSON object a line; `-` is standard output [default: `-`, but nowhere with --json]
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    output: Option<PathBuf>,

    /// Print one JSON object at the end instead of tables
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    http: HttpArgs,

    /// Write every answer down here, one JSON object a line; what cannot be written is denied
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,

    /// Rotate the audit before it becomes longer than so many MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20), requires = "audit")]
    audit_mib: u64,

    /// Keep so many older files of the audit
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=1_000), requires = "audit")]
    audit_keep: u32,

    /// Keep so many MiB of decisions; 0 keeps none
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    cache_mib: u64,

    /// Decisions hold for so many seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    cache_s: u64,

    /// Ask a policy server first, such as `http://127.0.0.1:8181/v1/data/gateway/decision`; the policies here decide when it does not
    #[arg(long, value_name = "URL")]
    remote: Option<String>,

    /// Wait so many milliseconds for the policy server
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..=60_000), requires = "remote")]
    remote_ms: u64,

    /// Do not hold tenants to the rates of their classes
    #[arg(long)]
    no_rate_limit: bool,

    /// Let policies see this time instead of the present one, as in `2026-01-05T10:00:00Z`
    #[arg(long, value_name = "TIME")]
    at: Option<Time>,

    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    workers: Option<usize>,

    /// Numbers of the pipeline to change, in RON; read again when the file changes
    #[arg(long, value_name = "FILE")]
    tuning: Option<PathBuf>,
}

/// Which policies decide.
#[derive(Debug, clap::Args)]
struct PolicyArgs {
    /// A folder of `.rego` files of `package gateway`, and perhaps `data.json`; read again when they change [default: built-in ones]
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,

    /// A policy may take so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    policy_ms: u64,
}

/// Who may connect.
#[derive(Debug, clap::Args)]
struct HttpArgs {
    /// Listen where other machines can connect; nothing checks who they are
    #[arg(long)]
    public: bool,

    /// Answer to this name, too, besides addresses and `localhost`
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Milliseconds that a client may take to send a head, to send a body, or to take a part of the answer; then it is let go [default:
    /// 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    client_ms: Option<u64>,
}

/// Answers questions about policies over HTTP, as `opa run --server` does: `POST /v1/data/gateway/decision`.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8181", value_parser = address)]
    listen: SocketAddr,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    http: HttpArgs,
}

impl PolicyArgs {
    fn limit(&self) -> Duration {
        Duration::from_millis(self.policy_ms)
    }
}

impl HttpArgs {
    /// What was said that only servers heed.
    fn first(&self) -> Option<&'static str> {
        let said = [
            (self.public, "--public"),
            (!self.allow_host.is_empty(), "--allow-host"),
            (self.client_ms.is_some(), "--client-ms"),
        ];
        said.into_iter()
            .find_map(|(is_said, option)| is_said.then_some(option))
    }

    fn hosts(&self) -> Hosts {
        Hosts::allow(self.allow_host.iter().cloned())
    }

    fn limits(&self) -> Limits {
        Limits {
            client: self.client_ms.map_or(CLIENT, Duration::from_millis),
            ..Limits::default()
        }
    }
}

impl Args {
    fn settings(&self) -> Settings {
        let audit = self.audit.as_ref().map(|path| AuditFile {
            path: path.clone(),
            most_bytes: self.audit_mib << 20,
            keep: self.audit_keep,
        });
        let config = Config {
            policy: self.policy.policy.clone(),
            policy_limit: self.policy.limit(),
            cache_bytes: self.cache_mib << 20,
            cache_lasts: Duration::from_secs(self.cache_s),
            remote: self.remote.clone(),
            remote_limit: Duration::from_millis(self.remote_ms),
            limits_rates: !self.no_rate_limit,
            audit,
            clock: self.at.map_or(Clock::System, Clock::Fixed),
        };
        Settings {
            config,
            workers: self.workers,
            tuning: self.tuning.clone(),
            ..Settings::default()
        }
    }

    /// Where answers go, and where the summary goes besides.
    fn output(&self) -> (Option<PathBuf>, Out) {
        let to = match (&self.output, self.json) {
            (None, true) => None,
            (None, false) => Some(PathBuf::from("-")),
            (Some(path), _) => Some(path.clone()),
        };
        let is_taken = to.as_ref().is_some_and(|path| path.as_os_str() == "-");
        (to, if is_taken { Out::Stderr } else { Out::Stdout })
    }
}

/// Runs the gateway as the command line asks.
pub fn run(args: &Args) -> ExitCode {
    if let Some(option) = args.http.first().filter(|_| args.requests.is_some()) {
        return fail_usage(&format!("`{option}` is for `--listen`: leave it out"));
    }
    let settings = args.settings();
    let (to, mut out) = args.output();
    let tell = say;
    let ended = match (&args.requests, args.listen) {
        (Some(from), _) => {
            let from = from.clone();
            run::on_file(&settings, &Paths { from, to }, tell)
        }
        (None, Some(address)) => {
            out = Out::Stdout;
            bind(address, args.http.public)
                .map_err(Failure::from)
                .and_then(|listener| {
                    let ready =
                        |address| say(&format!("listening on http://{address}/v1/authorize"));
                    let limits = args.http.limits();
                    run::as_server(&settings, listener, args.http.hosts(), limits, ready, tell)
                })
        }
        // The command line has one of the two.
        (None, None) => return ExitCode::from(2),
    };
    match ended {
        Ok(outcome) => report(args.json, out, &outcome),
        Err(failure) => refuse(&failure),
    }
}

fn report(json: bool, out: Out, outcome: &Outcome) -> ExitCode {
    let (summary, ending) = (&outcome.summary, &outcome.ending);
    let text = match json {
        true => summary.to_json(ending).to_string(),
        false => summary.text(ending).to_string(),
    };
    let unanswered = unanswered(outcome);
    let unaudited = summary.tally.of(Code::AuditUnavailable);
    let reasons = [
        unanswered
            .as_ref()
            .map(|_| "not all requests were answered".to_owned()),
        (unaudited > 0)
            .then(|| format!("denied because the audit could not be written: {unaudited}")),
    ];
    let told = Told {
        ending,
        summary: text,
        out,
        notes: unanswered
            .iter()
            .map(|why| error(why))
            .chain(asked_to_end(outcome))
            .collect(),
        is_good: outcome.is_good(),
        reasons: reasons.into_iter().flatten().collect(),
    };
    told.report()
}

/// What became of a file of requests, where not all of it got answers.
fn unanswered(outcome: &Outcome) -> Option<String> {
    match outcome.lines.as_ref()? {
        Err(error) => Some(error.to_string()),
        Ok(done) if done.unanswered > 0 => {
            let first = done.first.as_deref().unwrap_or_default();
            Some(format!(
                "{} requests got no answer: {first}",
                done.unanswered
            ))
        }
        Ok(done) if done.ended_early => Some("the run ended before the file did".to_owned()),
        Ok(_) => None,
    }
}

fn asked_to_end(outcome: &Outcome) -> Option<String> {
    let done = outcome.lines.as_ref()?.as_ref().ok()?;
    done.asked_to_end
        .then(|| "it was asked to end; the rest of the requests was not read".to_owned())
}

/// Runs a policy server until the process is asked to end.
pub fn serve_policies(args: &ServerArgs) -> ExitCode {
    match policy_server(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => refuse(&failure),
    }
}

fn policy_server(args: &ServerArgs) -> Result<(), Failure> {
    let config = Config {
        policy: args.policy.policy.clone(),
        ..Config::default()
    };
    let files = config.files().map_err(ConfigError::from)?;
    let set = PolicySet::compile(&files, None).map_err(ConfigError::from)?;
    let policies = Arc::new(Policies::new(set));
    let _reloader = match config.policy {
        None => None,
        Some(folder) => {
            let (policies, every) = (Arc::clone(&policies), Settings::default().reload);
            Some(Reloader::start(
                folder,
                files,
                policies,
                every,
                Teller::new(say),
            )?)
        }
    };
    let listener = bind(args.listen, args.http.public)?;
    let signals = starting::signals()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let routes = pdp::routes(policies, args.policy.limit());
    let hosts = args.http.hosts();
    let limits = args.http.limits();
    let server = Server::start(listener, routes, hosts, limits, runtime.handle())?;
    say(&format!(
        "listening on http://{}/v1/data/gateway/decision",
        server.address()
    ));
    while signals.received() == 0 {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    runtime.block_on(server.stop(Duration::from_secs(2)));
    Ok(())
}
