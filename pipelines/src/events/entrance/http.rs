//! Lines by HTTP: `POST /v1/events` with as many lines in its body as it may have bytes.
//!
//! The answer is `202` and how many lines were accepted, all of them; or `503` and how many, if the pipeline had no room for the
//! others in time, or takes no more. What was accepted gets to its services even if the process is asked to end. Whether a line
//! is an event shows later; what was rejected is counted.

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
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::{runtime::Runtime, time::timeout};

use super::{EntranceError, Gate};
use crate::{
    events::{feed::raw, lines::Lines, types::Raw},
    http::{self, Hosts, Limits, Server},
};

/// How long a request waits for room in the pipeline, all in all.
const ROOM: Duration = Duration::from_secs(5);
/// The largest body.
const BODY: usize = 1 << 20;

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
    hosts: Hosts,
    gate: Arc<Gate>,
) -> Result<Server, EntranceError> {
    let listener = http::bind(address, public)?;
    let limits = Limits {
        body_bytes: BODY,
        client: gate.client,
        ..Limits::default()
    };
    let source = format!("http {address}").into();
    let router = Router::new()
        .route("/v1/events", post(take))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Taker { gate, source });
    Server::start(listener, router, hosts, limits, runtime.handle())
        .map_err(|error| EntranceError::Bind(address.to_string(), error))
}

async fn take(State(taker): State<Taker>, body: Bytes) -> Response {
    let lines = lines(&taker, &body);
    let of = lines.len();
    let mut accepted = 0;
    let all = async {
        for line in lines {
            if taker.gate.send(line).await.is_err() {
                return "it takes no more";
            }
            accepted += 1;
        }
        ""
    };
    let why = timeout(ROOM, all).await.unwrap_or("it has no room");
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

fn lines(taker: &Taker, body: &[u8]) -> Vec<Raw> {
    let received = Instant::now();
    let mut lines = Lines::new(taker.gate.most);
    lines.push(body);
    let mut all = Vec::new();
    while let Some(line) = lines.next_line() {
        all.push(raw(&taker.source, lines.number(), received, line));
    }
    if let Some(line) = lines.finish() {
        all.push(raw(&taker.source, lines.number(), received, line));
    }
    all
}
