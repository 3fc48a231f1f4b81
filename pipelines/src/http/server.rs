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
    Hosts, Limits,
    body::{Guard, guard},
};

/// Accepting rests for so long when the system has no more files to open.
const REST: Duration = Duration::from_millis(50);

/// A server that runs on an async runtime. Dropped, it ends at once, in the middle of requests.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
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
        let guarded = Arc::new(Guard { hosts, limits });
        let router = router.layer(middleware::from_fn_with_state(guarded, guard));
        let (stop, stopped) = watch::channel(false);
        let accepting = runtime.spawn(accept(listener, router, limits, stopped));
        Ok(Self {
            address,
            stop,
            accepting,
        })
    }

    /// Where it listens: with port 0, the system has chosen one.
    pub fn address(&self) -> SocketAddr {
        self.address
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

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    // Dropped with this future, it ends all of them.
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // Closed by nobody.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let next = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => None,
            next = next => next,
        };
        match next {
            Some((Ok((stream, _)), place)) => {
                let one = connection(stream, router.clone(), limits, stopped.clone(), place);
                connections.spawn(one);
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

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are small; without it they may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.client));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.client)
        .max_buf_size(limits.head_bytes.max(8 * 1024))
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(router),
        );
    let mut served = pin!(served);
    // An error is the client's: it has gone, or sent what is no HTTP, and was told.
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
