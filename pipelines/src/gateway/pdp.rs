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
use regorus::{Engine, Value, utils::limits::ExecutionTimerConfig};
use serde::Deserialize;
use serde_json::json;

use super::policy::{PolicySet, RULE, STEPS};
use crate::http::{json_response, problem};

/// Engines that nobody uses at the moment.
struct Engines {
    set: PolicySet,
    limit: Duration,
    idle: Mutex<Vec<Engine>>,
}

/// What is asked.
#[derive(Deserialize)]
struct Question {
    input: Value,
}

/// The routes of a policy server. A policy may take so long.
pub fn routes(set: PolicySet, limit: Duration) -> Router {
    let engines = Arc::new(Engines {
        set,
        limit,
        idle: Mutex::default(),
    });
    Router::new()
        .route("/v1/data/gateway/decision", post(decide))
        .route(
            "/health",
            get(async || json_response(StatusCode::OK, &json!({}))),
        )
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
        let mut engine = self.take();
        engine.set_input(input);
        let value = engine.eval_rule(RULE.to_owned());
        drop(engine.take_prints());
        self.lock().push(engine);
        value.map_err(|error| error.to_string())
    }

    fn take(&self) -> Engine {
        let idle = self.lock().pop();
        idle.unwrap_or_else(|| {
            let mut engine = self.set.engine();
            engine.set_execution_timer_config(ExecutionTimerConfig {
                limit: self.limit,
                check_interval: STEPS,
            });
            engine
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Engine>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
