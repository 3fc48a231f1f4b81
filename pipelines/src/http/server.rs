//! A server: it takes connections, a bounded number of them, until it is stopped.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

use super::{
    Hosts, Limits, Refusals,
    body::{Guard, guard, no_method},
    held::Room,
};

/// Accepting rests for so long when the system has no more files to open.
const REST: Duration = Duration::from_millis(50);

/// A server that runs on an async runtime. Dropped, it ends at once, in the middle of requests.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    refusals: Refusals,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves what [`bind`](super::bind) made.
    ///
    /// # Errors
    ///
    /// If the system does not let it be listened on from the runtime.
    pub fn start(
        listener: std::net::TcpListener,
        router: Router,
        hosts: Hosts,
        limits: Limits,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(inside);
        let refusals = Refusals::default();
        let guarded = Arc::new(Guard {
            hosts,
            limits,
            room: Room::new(limits.held_bytes),
            refusals: refusals.clone(),
        });
        let router = router.method_not_allowed_fallback(no_method);
        let router = router.layer(middleware::from_fn_with_state(guarded, guard));
        let (stop, stopped) = watch::channel(false);
        let connections = Connections {
            router,
            limits,
            stopped,
            refusals: refusals.clone(),
        };
        let accepting = runtime.spawn(connections.accept(listener));
        Ok(Self {
            address,
            refusals,
            stop,
            accepting,
        })
    }

    /// Where it listens: with port 0, the system has chosen one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has refused, which also goes on being counted when the server has ended.
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Takes no more connections, answers the requests that have come, and ends; after this time in the middle of them.
    pub async fn stop(mut self, within: Duration) {
        self.stop.send_replace(true);
        // What is not over by then is dropped with it.
        let _ = timeout(within, &mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all connections have in common.
#[derive(Clone)]
struct Connections {
    router: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
    refusals: Refusals,
}

impl Connections {
    async fn accept(mut self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.limits.connections.max(1)));
        // Dropped with this future, it ends all of them.
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                // Closed by nobody.
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((listener.accept().await, place))
            };
            let next = tokio::select! {
                _ = self.stopped.wait_for(|stop| *stop) => None,
                next = next => next,
            };
            match next {
                Some((Ok((stream, _)), place)) => {
                    connections.spawn(self.clone().serve(stream, place));
                }
                // Too many open files, or a client that has gone already: neither is a reason to end.
                Some((Err(_), _)) => sleep(REST).await,
                None => break,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn serve(mut self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        // Answers are small; without it they may wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.client));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.client)
            .max_buf_size(self.limits.head_bytes.max(8 * 1024))
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                TowerToHyperService::new(self.router),
            );
        let mut served = pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => Some(ended),
            _ = self.stopped.wait_for(|stop| *stop) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        // Other errors are clients that have gone.
        match ended {
            Err(error) if error.is_parse_too_large() => self.refusals.count("head_too_large"),
            Err(error) if error.is_parse() => self.refusals.count("no_http"),
            _ => {}
        }
    }
}
