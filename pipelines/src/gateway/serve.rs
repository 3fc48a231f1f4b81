//! The gateway over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/authorize`, a request in JSON | 200 and an answer; 400, 429, 500 or 503 and a denial where no policy decided |
//! | `GET /v1/status` | what the run is doing, in JSON |
//! | `GET /healthz` | 200 while it is healthy or degraded, 503 when it has stopped |

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use pipewright::CallError;
use serde_json::{Value, json};

use super::{
    lanes::Lanes,
    request::Incoming,
    types::{Answer, Code},
};
use crate::http::{Refusals, json_response, problem};

/// What a run tells of itself.
pub type Status = Box<dyn Fn() -> (bool, Value) + Send + Sync>;

/// Where requests go.
pub struct Door {
    lanes: Lanes,
    status: Status,
}

impl Door {
    /// Sends requests to a run. `status` says whether it goes on, and how.
    pub fn new(lanes: Lanes, status: Status) -> Self {
        Self { lanes, status }
    }

    /// Asks in the lane of the tenant. A full input refuses.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn ask(&self, incoming: Incoming) -> Result<Answer, CallError<Incoming, Infallible>> {
        self.lanes.of(&incoming).call_async(incoming).await
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

/// The routes of the gateway.
pub fn routes(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/authorize", post(authorize))
        .route("/v1/status", get(status))
        .route("/healthz", get(healthz))
        .fallback(async || {
            let message = "there is `POST /v1/authorize`, `GET /v1/status` and `GET /healthz`";
            problem(StatusCode::NOT_FOUND, "not_found", message)
        })
        // The server has its own limit, and has read the body.
        .layer(DefaultBodyLimit::disable())
        .with_state(door)
}

async fn authorize(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_json(&headers) {
        let message = "the body has to be JSON\nhelp: send `content-type: application/json`, as `curl --json` does";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message);
    }
    match door.ask(Incoming::read(&body)).await {
        Ok(answer) => answered(&answer),
        Err(error) => unanswered(&error),
    }
}

/// A web page can send other types elsewhere without asking first, this one it cannot.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn answered(answer: &Answer) -> Response {
    let status = match answer.code {
        Code::Decided => StatusCode::OK,
        Code::Malformed | Code::Invalid => StatusCode::BAD_REQUEST,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::PolicyTimeout | Code::PolicyFailed => StatusCode::INTERNAL_SERVER_ERROR,
        Code::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = json_response(status, answer);
    if let Some(after) = answer.retry_after_ms {
        retry_after(&mut response, after.div_ceil(1_000));
    }
    response
}

/// The run gave no answer.
fn unanswered(error: &CallError<Incoming, Infallible>) -> Response {
    let (status, code) = match error {
        CallError::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        CallError::ShutDown(_) => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        CallError::Deadline(_) => (StatusCode::GATEWAY_TIMEOUT, "no_answer_in_time"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    let mut response = problem(status, code, &error.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        retry_after(&mut response, 1);
    }
    response
}

fn retry_after(response: &mut Response, seconds: u64) {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}

async fn status(
    State(door): State<Arc<Door>>,
    Extension(refusals): Extension<Refusals>,
) -> Response {
    let mut status = (door.status)().1;
    status["http"] = json!(refusals.seen());
    json_response(StatusCode::OK, &status)
}

async fn healthz(State(door): State<Arc<Door>>) -> Response {
    let (goes_on, status) = (door.status)();
    let code = if goes_on {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json_response(code, &status["health"])
}
