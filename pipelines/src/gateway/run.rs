//! A run of the gateway, from its settings to what came out: on a file of requests, or as a server.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use pipewright::{Health, Monitor, Running, Signals};
use tokio::runtime::{self, Runtime};

use super::{
    env::{Config, ConfigError, Env, Teller},
    files,
    flow::gateway::{self, Pipeline},
    lanes::Lanes,
    lines::{self, Done, LinesError},
    reload::{Reloader, Reloads},
    serve::{self, Door},
    summary::{self, Summary},
    types::Code,
};
use crate::{
    ending::{DRAIN, Ended, Ending},
    files::Shared,
    http::{BindError, Hosts, Limits, Server},
    starting::{self, Refusal, Unstarted},
};

/// Connections whose answers are written have so long to take them.
const CLOSE: Duration = Duration::from_secs(2);

/// How to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to decide.
    pub config: Config,
    /// How many threads work; as many as there are cores if not said.
    pub workers: Option<usize>,
    /// A tuning file, which is read again when it changes.
    pub tuning: Option<PathBuf>,
    /// How often the policies' folder is looked at, if there is one: 1 s.
    pub reload: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::default(),
            workers: None,
            tuning: None,
            reload: Duration::from_secs(1),
        }
    }
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is nothing to decide with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing listens.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The requests cannot be read, or the answers have nowhere to go.
    #[error("cannot open {}: {why}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// What is written is read as well, or written twice.
    #[error(transparent)]
    Shared(#[from] Shared),
    /// The system gives no thread or socket.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
    /// The pipeline cannot start.
    #[error(transparent)]
    Unstarted(#[from] Unstarted),
}

impl Refusal for Failure {
    fn is_rendered(&self) -> bool {
        matches!(self, Self::Unstarted(error) if error.is_rendered())
    }

    fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::Bind(_) | Self::Shared(_) => true,
            Self::Open { .. } | Self::System(_) => false,
            Self::Unstarted(error) => error.is_usage(),
        }
    }
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// The counts.
    pub summary: Summary,
    /// What was done of a file of requests.
    pub lines: Option<Result<Done, LinesError>>,
    /// How the run ended.
    pub ending: Ending,
}

impl Outcome {
    /// Whether the run did its work, everybody got an answer, and all answers stand in the audit.
    pub fn is_good(&self) -> bool {
        let answered = match &self.lines {
            None => true,
            Some(Ok(done)) => done.unanswered == 0 && !done.ended_early,
            Some(Err(_)) => false,
        };
        let unaudited = self.summary.tally.of(Code::AuditUnavailable);
        self.ending.problems.is_empty() && answered && unaudited == 0
    }
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    /// What its stages share.
    pub env: Env,
    run: Running<Pipeline>,
    reloader: Option<Reloader>,
    runtime: Runtime,
}

impl Settings {
    /// Starts. `tell` is given a line when policies are loaded or refused later, and when the audit fails and when it goes on.
    ///
    /// # Errors
    ///
    /// If the policies are wrong, or the pipeline does not start.
    pub fn start(&self, tell: impl Fn(&str) + Send + Sync + 'static) -> Result<Gateway, Failure> {
        let mut env = self.config.env()?;
        env.teller = Teller::new(tell);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()?;
        let pipeline = gateway::pipeline().tokio(runtime.handle().clone());
        let pipeline = starting::tuned(pipeline, self.tuning.as_deref(), self.workers)?;
        let run = pipeline.start(env.clone()).map_err(Unstarted::from)?;
        let reloader = self.reloader(&env)?;
        Ok(Gateway {
            env,
            run,
            reloader,
            runtime,
        })
    }

    fn reloader(&self, env: &Env) -> Result<Option<Reloader>, Failure> {
        let Some(folder) = &self.config.policy else {
            return Ok(None);
        };
        let files = self.config.files().map_err(ConfigError::from)?;
        let (policies, teller) = (Arc::clone(&env.policies), env.teller.clone());
        let started = Reloader::start(folder.clone(), files, policies, self.reload, teller)?;
        Ok(Some(started))
    }
}

impl Gateway {
    /// A handle that calls it.
    pub fn caller(&self) -> pipewright::Caller<Pipeline> {
        self.run.caller()
    }

    /// A handle that looks at it.
    pub fn monitor(&self) -> Monitor<Pipeline> {
        self.run.monitor()
    }

    /// What became of the policies' files.
    pub fn reloads(&self) -> Reloads {
        self.reloader
            .as_ref()
            .map(Reloader::seen)
            .unwrap_or_default()
    }

    /// Serves over HTTP what [`bind`](crate::http::bind) made.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn serve(
        &self,
        listener: TcpListener,
        hosts: Hosts,
        limits: Limits,
    ) -> Result<Server, Failure> {
        let (env, monitor) = (self.env.clone(), self.run.monitor());
        let seen = self.reloader.as_ref().map(Reloader::handle);
        let status = move || {
            let health = monitor.health();
            let goes_on = !matches!(health, Health::Stopped(_));
            let reloads = seen.as_ref().map(|seen| seen.seen()).unwrap_or_default();
            let status = summary::status(&env, &monitor.metrics(), &health, &reloads);
            (goes_on, status)
        };
        let lanes = Lanes::new(&self.env, &self.run.caller());
        let door = Door::new(lanes, Box::new(status));
        let routes = serve::routes(Arc::new(door));
        let handle = self.runtime.handle();
        Ok(Server::start(listener, routes, hosts, limits, handle)?)
    }

    /// Asks about each line of a file, and writes the answers, until the file ends or the process is asked to end.
    pub fn ask_all(
        &self,
        from: impl io::BufRead + Send + 'static,
        to: impl Write,
        signals: &Signals,
    ) -> Result<Done, LinesError> {
        let lanes = Lanes::new(&self.env, &self.run.caller());
        let asked = lines::ask_all(from, to, &lanes, signals);
        self.runtime.block_on(asked)
    }

    /// Waits until the process is asked to end; finishes what was taken in, and lets the server write it.
    pub fn wait_for(self, signals: &Signals, server: Option<Server>) -> Outcome {
        let Self {
            env,
            run,
            reloader,
            runtime,
        } = self;
        let ended = run.wait_for(signals, DRAIN);
        let refusals = server.as_ref().map(Server::refusals);
        if let Some(server) = server {
            runtime.block_on(server.stop(CLOSE));
        }
        let mut outcome = outcome(&env, reloader, ended, None);
        outcome.summary.http = refusals.unwrap_or_default().seen();
        outcome
    }

    /// Finishes what was taken in, and ends.
    pub fn drain(self, lines: Option<Result<Done, LinesError>>) -> Outcome {
        let Self {
            env,
            run,
            reloader,
            runtime,
        } = self;
        let ended = run.drain_within(DRAIN);
        let outcome = outcome(&env, reloader, ended, lines);
        drop(runtime);
        outcome
    }
}

fn outcome(
    env: &Env,
    reloader: Option<Reloader>,
    ended: Ended<Pipeline>,
    lines: Option<Result<Done, LinesError>>,
) -> Outcome {
    let (ending, report) = Ending::of(ended);
    let reloads = reloader.as_ref().map(Reloader::seen).unwrap_or_default();
    Outcome {
        summary: Summary::of(env, reloads, &report),
        ending,
        lines,
    }
}

/// Where requests come from and answers go.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The requests; `-` is standard input.
    pub from: PathBuf,
    /// The answers; `-` is standard output. Without, they are counted only.
    pub to: Option<PathBuf>,
}

/// Runs on a file of requests, until it ends or the process is asked to end.
///
/// # Errors
///
/// If nothing could begin. What goes wrong later is in the outcome.
pub fn on_file(
    settings: &Settings,
    paths: &Paths,
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Outcome, Failure> {
    files::check(settings, Some(paths))?;
    let signals = starting::signals()?;
    let from: Box<dyn io::BufRead + Send> = match paths.from.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(open(&paths.from, File::open(&paths.from))?)),
    };
    let to: Box<dyn Write> = match &paths.to {
        None => Box::new(io::sink()),
        Some(path) if path.as_os_str() == "-" => Box::new(BufWriter::new(io::stdout())),
        Some(path) => Box::new(BufWriter::new(open(path, File::create(path))?)),
    };
    let gateway = settings.start(tell)?;
    let done = gateway.ask_all(from, to, &signals);
    Ok(gateway.drain(Some(done)))
}

fn open(path: &std::path::Path, opened: io::Result<File>) -> Result<File, Failure> {
    opened.map_err(|why| Failure::Open {
        path: path.to_owned(),
        why,
    })
}

/// Serves until the process is asked to end. `ready` is told where.
///
/// # Errors
///
/// If nothing could begin. What goes wrong later is in the outcome.
pub fn as_server(
    settings: &Settings,
    listener: TcpListener,
    hosts: Hosts,
    limits: Limits,
    ready: impl FnOnce(SocketAddr),
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Outcome, Failure> {
    files::check(settings, None)?;
    let signals = starting::signals()?;
    let gateway = settings.start(tell)?;
    let server = gateway.serve(listener, hosts, limits)?;
    ready(server.address());
    Ok(gateway.wait_for(&signals, Some(server)))
}
