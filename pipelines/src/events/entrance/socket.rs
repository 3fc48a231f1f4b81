//! Lines by TCP and Unix sockets.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpListener,
    runtime::Runtime,
    time::timeout_at,
};

use super::{CLIENTS, Closed, EntranceError, Gate, name_of, pages, seats::Place, unix::Bound};
use crate::events::{feed::raw, lines::Lines, reject::Fault};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;
/// A system that has no descriptor left for another client is asked again after this time.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(SocketAddr),
    Unix(Bound),
}

impl Socket {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(bound) => Some(bound.path()),
        }
    }
}

/// Listens at an address.
pub(super) fn tcp(
    runtime: &Runtime,
    address: SocketAddr,
    gate: Arc<Gate>,
) -> Result<Socket, EntranceError> {
    let failed = |error| EntranceError::Bind(address.to_string(), error);
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    runtime.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => serve(stream, format!("tcp {from}").into(), &gate).await,
                Err(_) => tokio::time::sleep(NO_DESCRIPTOR).await,
            }
        }
    });
    Ok(Socket::Tcp(bound))
}

/// Listens at a path.
pub(super) fn unix(
    runtime: &Runtime,
    path: &Path,
    gate: Arc<Gate>,
) -> Result<Socket, EntranceError> {
    let (listener, bound) = runtime.block_on(Bound::listen(path))?;
    let name = name_of(path);
    runtime.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => serve(stream, Arc::clone(&name), &gate).await,
                Err(_) => tokio::time::sleep(NO_DESCRIPTOR).await,
            }
        }
    });
    Ok(Socket::Unix(bound))
}

/// Reads standard input, which is no client.
pub(super) fn stdin(runtime: &Runtime, gate: Arc<Gate>) {
    runtime.spawn(read(
        tokio::io::stdin(),
        "standard input".into(),
        gate,
        None,
    ));
}

/// Reads a client in a task of its own, if there may be one more.
async fn serve(
    stream: impl AsyncRead + Unpin + Send + 'static,
    source: Arc<str>,
    gate: &Arc<Gate>,
) {
    match gate.seats.take(Instant::now()) {
        Some(place) => {
            tokio::spawn(read(stream, source, Arc::clone(gate), Some(place)));
        }
        None => {
            let fault = Fault::TooManyClients { most: CLIENTS };
            // A pipeline that takes no more ends.
            let _: Result<(), Closed> = gate.tell(&source, 0, fault).await;
        }
    }
}

/// Reads a client, or what has no seat among them, to its end.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    source: Arc<str>,
    gate: Arc<Gate>,
    place: Option<Place>,
) -> Result<(), Closed> {
    let mut lines = Lines::new(gate.most);
    let (mut chunk, mut head) = (vec![0; CHUNK], Vec::new());
    let mut begun = Instant::now();
    loop {
        let came = if lines.is_inside() {
            match timeout_at((begun + gate.client).into(), stream.read(&mut chunk)).await {
                Ok(came) => came,
                Err(_) => return cut_off(&gate, &source, lines, "its end took too long").await,
            }
        } else if let Some(place) = &place {
            match place.unless_given(stream.read(&mut chunk)).await {
                Some(came) => came,
                None => return Ok(()),
            }
        } else {
            stream.read(&mut chunk).await
        };
        let length = match came {
            Ok(0) => break,
            Ok(length) => length,
            Err(_) => return cut_off(&gate, &source, lines, "the connection was lost").await,
        };
        let received = Instant::now();
        if !lines.is_inside() {
            begun = received;
        }
        lines.push(&chunk[..length]);
        let wanted = length.min(pages::HEAD - head.len());
        head.extend_from_slice(&chunk[..wanted]);
        while let Some(line) = lines.next_line() {
            begun = received;
            if place.is_some() && lines.number() == 1 && pages::is_request(&head, &line) {
                return gate.tell(&source, 1, Fault::HttpRequest).await;
            }
            gate.send(raw(&source, lines.number(), received, line))
                .await?;
        }
    }
    // Who closes its side has said all, with or without an end of the line.
    if let Some(line) = lines.finish() {
        let number = lines.number();
        gate.send(raw(&source, number, Instant::now(), line))
            .await?;
    }
    Ok(())
}

async fn cut_off(
    gate: &Gate,
    source: &Arc<str>,
    mut lines: Lines,
    why: &'static str,
) -> Result<(), Closed> {
    match lines.cut_off(why) {
        Some(fault) => gate.tell(source, lines.number(), fault).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use pipewright::{Running, pipeline};
    use tokio::{io::ReadBuf, time::timeout};

    use super::*;
    use crate::events::{entrance::seats::Seats, types::Raw};

    #[pipeline]
    #[allow(unreachable_pub, reason = "who reads `input` has to be public")]
    mod kept {
        use crate::events::types::Raw;

        #[sink(from = input)]
        pub fn keep(raw: Raw, all: &mut Vec<Raw>) {
            all.push(raw);
        }
    }

    /// Sends this, and then breaks or says nothing more.
    struct Client(&'static [u8], Option<io::ErrorKind>);

    impl AsyncRead for Client {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.0.is_empty() {
                return match self.1 {
                    Some(kind) => Poll::Ready(Err(kind.into())),
                    None => Poll::Pending,
                };
            }
            buffer.put_slice(self.0);
            self.0 = &[];
            Poll::Ready(Ok(()))
        }
    }

    fn told(run: Running<kept::Pipeline>) -> Vec<String> {
        let mut report = run.drain().expect("nothing fails");
        let all: Vec<Raw> = report.take_state::<kept::keep>().expect("a state");
        let told = all.into_iter().map(|raw| match raw.text {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(fault) => fault.to_string(),
        });
        told.collect()
    }

    /// What comes of a client, behind which another one comes after a day if there `is_last_seat`; time passes as soon as everybody
    /// waits.
    fn check_at(is_last_seat: bool, client: Client, expect: &[&str]) {
        let run = kept::pipeline().workers(1).start(()).expect("starts");
        let mut gate = Gate::new(run.input(), 100, crate::http::CLIENT);
        if is_last_seat {
            gate.seats = Arc::new(Seats::new(1, crate::http::CLIENT));
        }
        let seats = Arc::clone(&gate.seats);
        let place = seats.take(Instant::now()).expect("a seat");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let read = read(client, "client".into(), Arc::new(gate), Some(place));
        let other = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let tomorrow = Instant::now() + Duration::from_secs(24 * 60 * 60);
            drop(seats.take(tomorrow));
        };
        let both = async { tokio::join!(read, other) };
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let ended = runtime.block_on(async { timeout(week, both).await });
        assert_eq!(ended.expect("it is let go").0, Ok(()));
        assert_eq!(told(run), expect);
    }

    fn check(client: Client, expect: &[&str]) {
        check_at(false, client, expect);
    }

    #[test]
    fn a_client_that_breaks_off_or_is_too_slow_loses_only_its_last_line() {
        let lost = Some(io::ErrorKind::ConnectionReset);
        check(Client(b"one\ntwo\n", lost), &["one", "two"]);
        let told = "broke off after 2 bytes of a line: the connection was lost";
        check(Client(b"one\ntw", lost), &["one", told]);
        let told = "broke off after 2 bytes of a line: its end took too long";
        check(Client(b"one\ntw", None), &["one", told]);
    }

    #[test]
    fn a_client_that_speaks_http_is_let_go_before_its_body() {
        let lost = Some(io::ErrorKind::ConnectionReset);
        let told = "speaks HTTP, which only `--http` takes: nothing of it is read";
        check(Client(b"POST /x HTTP/1.1\r\n\r\none\n", lost), &[told]);
        let long = format!("POST /{} HTTP/1.1\r\n\r\none\n", "x".repeat(200)).leak();
        check(Client(long.as_bytes(), lost), &[told]);
        let later = "POST /x HTTP/1.1";
        check(Client(b"one\nPOST /x HTTP/1.1\n", lost), &["one", later]);
    }

    #[test]
    fn a_silent_client_is_let_go_for_another_one_but_not_in_the_middle_of_a_line() {
        check_at(true, Client(b"", None), &[]);
        check_at(true, Client(b"one\n", None), &["one"]);
        let told = "broke off after 2 bytes of a line: its end took too long";
        check_at(true, Client(b"one\ntw", None), &["one", told]);
    }
}
