//! A policy server: the same policies and the same engine behind HTTP, in the form in which `opa run --server` answers.
//!
//! `POST /v1/data/gateway/decision` with `{"input": ..}` answers `{"result": ..}`, or `{}` where no rule decides. It is what
//! gateways can ask as their remote decision point, and what the comparison measures against where no `opa` is installed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use regorus::{Engine, Value};
use serde::Deserialize;
use serde_json::json;

use super::policy::{Policies, Unasked, ask};
use crate::http::{json_response, problem};

/// Engines that nobody uses at the moment, and the revision of the set that each has.
struct Engines {
    policies: Arc<Policies>,
    limit: Duration,
    idle: Mutex<Vec<(u64, Engine)>>,
}

/// What is asked.
#[derive(Deserialize)]
struct Question {
    input: Value,
}

/// The routes of a policy server, which answers by the policies of the moment. A policy may take so long.
pub fn routes(policies: Arc<Policies>, limit: Duration) -> Router {
    let engines = Arc::new(Engines {
        policies,
        limit,
        idle: Mutex::default(),
    });
    Router::new()
        .route("/v1/data/gateway/decision", post(decide))
        .route(
            "/health",
            get(async || json_response(StatusCode::OK, &json!({}))),
        )
        .fallback(async || {
            let message = "there is `POST /v1/data/gateway/decision` and `GET /health`";
            problem(StatusCode::NOT_FOUND, "not_found", message)
        })
        .layer(DefaultBodyLimit::disable())
        .with_state(engines)
}

async fn decide(State(engines): State<Arc<Engines>>, body: Bytes) -> Response {
    let question: Question = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            let message = format!("is not `{{\"input\": ..}}`: {error}");
            return problem(StatusCode::BAD_REQUEST, "invalid_parameter", &message);
        }
    };
    match engines.decide(question.input) {
        Ok(Value::Undefined) => json_response(StatusCode::OK, &json!({})),
        Ok(result) => json_response(StatusCode::OK, &json!({"result": result})),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", &error),
    }
}

impl Engines {
    fn decide(&self, input: Value) -> Result<Value, String> {
        let (revision, mut engine) = self.take();
        let value = ask(&mut engine, input, self.limit);
        self.lock().push((revision, engine));
        value.map_err(|why| match why {
            Unasked::Timeout => format!("the policy took longer than {:?}", self.limit),
            Unasked::Failed(why) => why,
        })
    }

    /// An engine of the set that decides now; those of another one go.
    fn take(&self) -> (u64, Engine) {
        let set = self.policies.current();
        let mut idle = self.lock();
        idle.retain(|(revision, _)| *revision == set.revision);
        let known = idle.pop();
        drop(idle);
        known.unwrap_or_else(|| (set.revision, set.engine()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Engine)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
