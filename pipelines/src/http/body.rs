//! What is looked at before a handler sees a request: its host, and its body.

use std::{error::Error, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use super::{Hosts, Limits, Refusals, problem, refusals::Problem};

/// What requests are looked at for.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) hosts: Hosts,
    pub(super) limits: Limits,
    pub(super) refusals: Refusals,
}

/// Lets a request through with its whole body, or answers what is wrong with it; counts what was wrong.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let answer = guard.answer(request, next).await;
    if let Some(Problem(code)) = answer.extensions().get() {
        guard.refusals.count(code);
    }
    answer
}

/// A method that a path does not have.
pub(super) async fn no_method(method: Method) -> Response {
    let message = format!("this path has no `{method}`");
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        &message,
    )
}

impl Guard {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let (mut parts, body) = request.into_parts();
        if let Err(stranger) = self.hosts.check(&parts.uri, &parts.headers) {
            let message = stranger.to_string();
            return closing(problem(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                &message,
            ));
        }
        let body = match self.limits.read(&parts.headers, body).await {
            Ok(body) => body,
            Err(refusal) => return closing(refusal),
        };
        parts.extensions.insert(self.refusals.clone());
        let answer = next.run(Request::from_parts(parts, Body::from(body)));
        let answer = timeout(self.limits.answer, answer).await;
        answer.unwrap_or_else(|_| {
            let message = format!("there was no answer in {:?}", self.limits.answer);
            problem(StatusCode::GATEWAY_TIMEOUT, "no_answer_in_time", &message)
        })
    }
}

impl Limits {
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
        let told = headers.get(header::CONTENT_LENGTH);
        let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|length| length > self.body_bytes as u64) {
            return Err(self.too_large());
        }
        match timeout(self.client, to_bytes(body, self.body_bytes)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if is_too_long(&error) => Err(self.too_large()),
            Ok(Err(error)) => {
                let message = format!("the body ends too early: {error}");
                Err(problem(
                    StatusCode::BAD_REQUEST,
                    "body_broken_off",
                    &message,
                ))
            }
            Err(_) => {
                let message = format!("the body did not come in {:?}", self.client);
                Err(problem(
                    StatusCode::REQUEST_TIMEOUT,
                    "body_too_slow",
                    &message,
                ))
            }
        }
    }

    fn too_large(&self) -> Response {
        let message = format!("the body is larger than {} bytes", self.body_bytes);
        problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &message)
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    error
        .source()
        .is_some_and(|source| source.is::<LengthLimitError>())
}

/// What is left of the request is not worth reading.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
