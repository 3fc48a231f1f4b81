//! Events over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/events`, lines | 202 and how many were accepted, all of them; or 503 and how many, if the pipeline has no room in time, or takes no more; or 503 without, if too many bodies are there |
//! | `GET /v1/status` | what came of all lines until now and how the run is, in JSON |
//! | `GET /healthz` | 200 while it is healthy or degraded, 503 when it takes no more |
//!
//! What was accepted gets to its services even if the process is asked to end. Whether a line is an event shows later; what was
//! rejected is counted.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use memchr::memchr_iter;
use serde_json::json;
use tokio::{runtime::Runtime, time::timeout};

use super::{
    Closed, EntranceError, Gate,
    pages::{self, Pages},
};
use crate::{
    events::{feed::raw, lines::Lines, status::Tell},
    http::{self, Hosts, Limits, Server},
};

/// How long a request waits for room in the pipeline, all in all.
const ROOM: Duration = Duration::from_secs(5);
/// The largest body.
const BODY: usize = 1 << 20;
/// Bytes of a body that are cut into lines at once.
const PIECE: usize = 16 << 10;

#[derive(Debug, Clone)]
struct Taker {
    gate: Arc<Gate>,
    source: Arc<str>,
}

/// Listens at an address; who may be asked for beyond loopback says the command line.
pub(super) fn begin(
    runtime: &Runtime,
    address: SocketAddr,
    public: bool,
    hosts: &[String],
    gate: Arc<Gate>,
    tell: Tell,
) -> Result<Server, EntranceError> {
    let listener = http::bind(address, public)?;
    let limits = Limits {
        body_bytes: BODY,
        client: gate.client,
        ..Limits::default()
    };
    let source = format!("http {address}").into();
    let pages = Arc::new(Pages::allow(hosts));
    let told = Router::new()
        .route("/v1/status", get(status))
        .route("/healthz", get(healthz))
        .with_state(tell);
    let router = Router::new()
        .route("/v1/events", post(take))
        .with_state(Taker { gate, source })
        .merge(told)
        .layer(middleware::from_fn_with_state(pages, pages::guard));
    let hosts = Hosts::allow(hosts.iter().cloned());
    Server::start(listener, router, hosts, limits, runtime.handle())
        .map_err(|error| EntranceError::Bind(address.to_string(), error))
}

async fn take(State(taker): State<Taker>, body: Bytes) -> Response {
    let of = lines_in(&body);
    let mut accepted = 0;
    let why = match timeout(ROOM, taker.send(&body, &mut accepted)).await {
        Ok(Ok(())) => "",
        Ok(Err(Closed)) => "it takes no more",
        Err(_) => "it has no room",
    };
    let counts = json!({"accepted": accepted, "of": of});
    if accepted == of {
        return http::json_response(StatusCode::ACCEPTED, &counts);
    }
    let problem = json!({
        "error": {"code": "not_all_accepted", "message": format!("{why}: send the others again")},
        "accepted": accepted,
        "of": of,
    });
    let answer = http::json_response(StatusCode::SERVICE_UNAVAILABLE, &problem);
    ([(header::RETRY_AFTER, "1")], answer).into_response()
}

impl Taker {
    /// Sends the lines of a body as they are cut, and counts those that were accepted: in a body of nothing but ends of lines each
    /// of them takes a hundred times its byte.
    async fn send(&self, body: &[u8], accepted: &mut usize) -> Result<(), Closed> {
        let received = Instant::now();
        let mut lines = Lines::new(self.gate.most);
        for piece in body.chunks(PIECE) {
            lines.push(piece);
            while let Some(line) = lines.next_line() {
                let line = raw(&self.source, lines.number(), received, line);
                self.gate.send(line).await?;
                *accepted += 1;
            }
            // All entrances share a thread.
            tokio::task::yield_now().await;
        }
        if let Some(line) = lines.finish() {
            let line = raw(&self.source, lines.number(), received, line);
            self.gate.send(line).await?;
            *accepted += 1;
        }
        Ok(())
    }
}

async fn status(State(tell): State<Tell>) -> Response {
    http::json_response(StatusCode::OK, &tell().1)
}

async fn healthz(State(tell): State<Tell>) -> Response {
    let (goes_on, status) = tell();
    let code = match goes_on {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    http::json_response(code, &status["health"])
}

fn lines_in(body: &[u8]) -> usize {
    let has_rest = body.last().is_some_and(|last| *last != b'\n');
    memchr_iter(b'\n', body).count() + usize::from(has_rest)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use axum::body::to_bytes;
    use pipewright::{Running, pipeline};
    use serde_json::Value;

    use super::*;

    #[pipeline(env = std::sync::Mutex<std::sync::mpsc::Receiver<()>>)]
    #[allow(unreachable_pub, reason = "who reads `input` has to be public")]
    mod held {
        use std::sync::{Mutex, mpsc::Receiver};

        use crate::events::types::Raw;

        #[sink(from = input, queue = 4)]
        pub fn hold(_: Raw, until: &Mutex<Receiver<()>>) {
            // It ends with its sender.
            drop(until.lock().map(|until| until.recv()));
        }
    }

    /// What is answered to a body; time passes as soon as everybody waits.
    fn answer(run: &Running<held::Pipeline>, body: &str) -> (StatusCode, Value) {
        let gate = Arc::new(Gate::new(run.input(), 100, http::CLIENT));
        let source = "http".into();
        let taker = Taker { gate, source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let answer = take(State(taker), Bytes::copy_from_slice(body.as_bytes())).await;
            let (head, body) = answer.into_parts();
            let body = to_bytes(body, BODY).await.expect("a body");
            (head.status, serde_json::from_slice(&body).expect("JSON"))
        })
    }

    #[test]
    fn who_sends_is_told_how_many_lines_there_was_room_for() {
        let (release, until) = mpsc::channel();
        let run = held::pipeline().workers(1).start(Mutex::new(until));
        let run = run.expect("starts");
        // Dropped before the run, which would wait for it if this fails.
        let release = release;
        let (status, counts) = answer(&run, "");
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(counts, json!({"accepted": 0, "of": 0}));
        let (status, counts) = answer(&run, "one\n\nthree");
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(counts, json!({"accepted": 3, "of": 3}));
        let (status, told) = answer(&run, &"line\n".repeat(100));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let accepted = told["accepted"].as_u64().expect("a number");
        assert!((1..100).contains(&accepted), "{told}");
        assert_eq!(told["of"], 100);
        let message = "it has no room: send the others again";
        assert_eq!(told["error"]["message"], message);
        drop(release);
        run.close();
        let (status, told) = answer(&run, "one\n");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((&told["accepted"], &told["of"]), (&json!(0), &json!(1)));
        let message = "it takes no more: send the others again";
        assert_eq!(told["error"]["message"], message);
        let received = run.drain().expect("nothing fails").ledger().received;
        assert_eq!(received, 3 + accepted);
    }
}
