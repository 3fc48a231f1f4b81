//! What is looked at before a handler sees a request: its host, and its body.

use std::{mem, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::{
    Hosts, Limits, Refusals,
    held::{Room, Share},
    problem,
    refusals::Problem,
};

/// What requests are looked at for.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) hosts: Hosts,
    pub(super) limits: Limits,
    pub(super) room: Room,
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
        // Until there is an answer: so long handlers have the body.
        let mut share = self.room.share();
        let body = match self.read(body, &mut share).await {
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

impl Guard {
    async fn read(&self, body: Body, share: &mut Share<'_>) -> Result<Bytes, Response> {
        if body.size_hint().lower() > self.limits.body_bytes as u64 {
            return Err(self.too_large());
        }
        let client = self.limits.client;
        match timeout(client, self.collect(body, share)).await {
            Ok(read) => read,
            Err(_) => {
                let message = format!("the body did not come in {client:?}");
                let status = StatusCode::REQUEST_TIMEOUT;
                Err(problem(status, "body_too_slow", &message))
            }
        }
    }

    async fn collect(&self, mut body: Body, share: &mut Share<'_>) -> Result<Bytes, Response> {
        // Most bodies come at once, and are not copied.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            // What is no data are trailers.
            let Ok(data) = frame.map_err(|error| broken_off(&error))?.into_data() else {
                continue;
            };
            if first.len() + all.len() + data.len() > self.limits.body_bytes {
                return Err(self.too_large());
            }
            if !share.grow(data.len()) {
                return Err(self.too_much());
            }
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                all.extend_from_slice(&mem::take(&mut first));
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    fn too_large(&self) -> Response {
        let message = format!("the body is larger than {} bytes", self.limits.body_bytes);
        problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &message)
    }

    fn too_much(&self) -> Response {
        let most = self.limits.held_bytes;
        let message = format!(
            "bodies of other requests take the {most} bytes that there are for all: send it again"
        );
        let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "too_many_bodies", &message);
        ([(header::RETRY_AFTER, "1")], answer).into_response()
    }
}

fn broken_off(error: &axum::Error) -> Response {
    let message = format!("the body ends too early: {error}");
    problem(StatusCode::BAD_REQUEST, "body_broken_off", &message)
}

/// What is left of the request is not worth reading.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
