//! Where events come from that others send: sockets, HTTP and watched directories.
//!
//! All of it is pushed into the `input` of the pipeline. What is in there was accepted, and gets to its services even if the
//! process is asked to end. While the input is full, nothing more is read from sockets, so that clients wait, each for itself.

mod http;
mod pages;
mod seats;
mod socket;
mod unix;
mod watch;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use pipewright::{Input, SendError};
use tokio::runtime::{Builder, Runtime};

use self::{seats::Seats, socket::Socket, watch::Watched};
use super::{feed::raw, reject::Fault, status::Tell, types::Raw};
use crate::http::{BindError, Server};

/// Clients that may be connected to all sockets for lines together.
pub const CLIENTS: usize = 256;
/// Who finds the input full looks again after this time.
const FULL: Duration = Duration::from_millis(1);

/// Something to listen to.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// Changes of files in a directory and below.
    Watch(PathBuf),
    /// Lines by TCP.
    Tcp(SocketAddr),
    /// Lines by a Unix socket.
    Unix(PathBuf),
    /// Lines in the bodies of `POST /v1/events`.
    Http {
        /// Where.
        address: SocketAddr,
        /// Whether other machines may reach it.
        public: bool,
        /// Names of this server, besides addresses and `localhost`.
        hosts: Vec<String>,
    },
    /// Lines of standard input. As a source it would keep a worker waiting.
    Stdin,
}

/// Why something cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntranceError {
    /// No thread or poller for sockets.
    #[error("cannot listen: {0}")]
    Runtime(io::Error),
    /// The address or path cannot be listened at.
    #[error("cannot listen at {0}: {1}")]
    Bind(String, io::Error),
    /// Something else than a socket is where one is to be.
    #[error("cannot listen at {0}: it is {1}\nhelp: move it away, or name another path")]
    Occupied(PathBuf, &'static str),
    /// Nothing listens there for HTTP.
    #[error(transparent)]
    Http(#[from] BindError),
    /// The directory cannot be watched.
    #[error("cannot watch {0}: {1}")]
    Watch(PathBuf, notify::Error),
}

impl EntranceError {
    /// Whether what the command line names cannot be listened to here, whatever else runs.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Occupied(..) | Self::Http(BindError::Public(_)) => true,
            Self::Bind(_, error) | Self::Http(BindError::Refused(_, error)) => is_nowhere(error),
            Self::Watch(_, error) => match &error.kind {
                notify::ErrorKind::Io(error) => is_nowhere(error),
                notify::ErrorKind::PathNotFound => true,
                _ => false,
            },
            Self::Runtime(_) => false,
        }
    }
}

/// Whether there is no such path, or no such address on this machine.
fn is_nowhere(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, NotADirectory, NotFound};
    matches!(error.kind(), AddrNotAvailable | NotADirectory | NotFound)
}

/// All that listens and watches; dropping it closes all connections.
#[derive(Debug)]
pub struct Entrances {
    // The order is that of dropping: what watches may hold the runtime's tasks up for a moment.
    watched: Vec<Watched>,
    sockets: Vec<Socket>,
    servers: Vec<Server>,
    /// There is none where nothing needs it.
    runtime: Option<Runtime>,
}

impl Entrances {
    /// Begins to listen; lines may have so many bytes, and clients so much time for each, or for the head or the body of a request.
    /// Changes of what the services have `written` are no events. HTTP tells how the run is.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened to; then none is.
    pub fn open(
        entrances: &[Entrance],
        most: usize,
        client: Duration,
        written: &[PathBuf],
        input: &Input<Raw>,
        tell: &Tell,
    ) -> Result<Self, EntranceError> {
        let mut all = Self {
            watched: Vec::new(),
            sockets: Vec::new(),
            servers: Vec::new(),
            runtime: None,
        };
        if entrances.is_empty() {
            return Ok(all);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("entrance")
            .build()
            .map_err(EntranceError::Runtime)?;
        let gate = Arc::new(Gate::new(input.clone(), most, client));
        for entrance in entrances {
            let gate = Arc::clone(&gate);
            match entrance {
                Entrance::Watch(path) => {
                    let watched = Watched::begin(path, written, input, runtime.handle())?;
                    all.watched.push(watched);
                }
                Entrance::Tcp(address) => {
                    all.sockets.push(socket::tcp(&runtime, *address, gate)?);
                }
                Entrance::Unix(path) => all.sockets.push(socket::unix(&runtime, path, gate)?),
                Entrance::Http {
                    address,
                    public,
                    hosts,
                } => {
                    let tell = Arc::clone(tell);
                    let server = http::begin(&runtime, *address, *public, hosts, gate, tell)?;
                    all.servers.push(server);
                }
                Entrance::Stdin => socket::stdin(&runtime, gate),
            }
        }
        all.runtime = Some(runtime);
        Ok(all)
    }

    /// Where it listens by Unix sockets.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.sockets.iter().filter_map(Socket::path)
    }

    /// Where it listens by TCP, and then by HTTP: the system chooses the port where it is 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.iter().filter_map(Socket::address);
        sockets
            .chain(self.servers.iter().map(Server::address))
            .collect()
    }
}

impl Drop for Entrances {
    fn drop(&mut self) {
        self.watched.clear();
        self.servers.clear();
        if let Some(runtime) = self.runtime.take() {
            // Its tasks do nothing but wait.
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// The way into the pipeline for what comes by sockets.
#[derive(Debug)]
pub(super) struct Gate {
    input: Input<Raw>,
    most: usize,
    /// How long a client may take.
    client: Duration,
    seats: Arc<Seats>,
}

/// The pipeline takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

impl Gate {
    fn new(input: Input<Raw>, most: usize, client: Duration) -> Self {
        Self {
            input,
            most,
            client,
            seats: Arc::new(Seats::new(CLIENTS, client)),
        }
    }

    /// Sends, and waits while the input is full.
    async fn send(&self, mut item: Raw) -> Result<(), Closed> {
        loop {
            match self.input.try_send(item) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(back)) => item = back,
                Err(_) => return Err(Closed),
            }
            tokio::time::sleep(FULL).await;
        }
    }

    /// Sends what stands for a line that there is not.
    async fn tell(&self, source: &Arc<str>, line: u64, fault: Fault) -> Result<(), Closed> {
        self.send(raw(source, line, Instant::now(), Err(fault)))
            .await
    }
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}
