//! A remote decision point: a policy server that is asked over HTTP, as `opa run --server` answers.
//!
//! `POST URL` with `{"input": ..}`, and `{"result": {"allow": .., "reason": ..}}` comes back. Whatever else comes, or nothing in time,
//! is no answer, and the request goes to the engine in this process; when that happens too often, the breaker of the stage lets no
//! more ask.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use pipewright::ErrorClass;
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    clock::Time,
    policy::{input_json, valid_for},
    types::{Asked, By, Decision, Judged, Unanswered},
};

/// The largest answer that is read.
const MOST_BYTES: usize = 64 * 1024;
/// Connections that are kept while nobody asks.
const IDLE: usize = 64;

/// Asks a policy server. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Remote {
    url: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    limit: Duration,
    /// Why there was no answer the last time that there was none.
    missed: Arc<Mutex<Option<String>>>,
}

/// A URL that nothing can be asked of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` {why}\nhelp: write something like `http://127.0.0.1:8181/v1/data/gateway/decision`"
)]
pub struct UrlError {
    url: String,
    why: &'static str,
}

/// Why there is no answer, and what that says about whoever was asked.
struct Missing(ErrorClass, String);

#[derive(Deserialize)]
struct Reply {
    result: Option<Said>,
}

#[derive(Deserialize)]
struct Said {
    allow: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    valid_for_s: Option<f64>,
}

impl Remote {
    /// Asks at this URL, and waits for an answer for so long.
    ///
    /// # Errors
    ///
    /// If it is no URL with `http`, or names no host.
    pub fn new(url: &str, limit: Duration) -> Result<Self, UrlError> {
        let wrong = |why| UrlError {
            url: url.to_owned(),
            why,
        };
        let parsed: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        if parsed.scheme_str() != Some("http") {
            return Err(wrong("is no URL with `http`"));
        }
        if parsed.host().is_none_or(str::is_empty) {
            return Err(wrong("names no host"));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limit));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE)
            .build(connector);
        Ok(Self {
            url: parsed,
            client,
            limit,
            missed: Arc::default(),
        })
    }

    /// Why there was no answer the last time that there was none.
    pub fn last_missed(&self) -> Option<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.clone()
    }

    pub(super) fn missed(&self, why: String) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        *missed = Some(why);
    }

    /// Asks about a request.
    ///
    /// # Errors
    ///
    /// Gives the request back if there is no answer.
    pub async fn ask(&self, asked: Asked, now: Time) -> Result<Judged, Unanswered> {
        let input = serde_json::json!({"input": input_json(&asked.request, now)});
        let answer = timeout(self.limit, self.post(input.to_string())).await;
        let answer = answer.unwrap_or_else(|_| {
            let why = format!("it took longer than {:?}", self.limit);
            Err(Missing(ErrorClass::Timeout, why))
        });
        match answer {
            Ok(decision) => Ok(Judged {
                asked,
                decision,
                by: By::Remote,
            }),
            Err(Missing(class, why)) => Err(Unanswered {
                asked: Box::new(asked),
                class,
                why,
            }),
        }
    }

    async fn post(&self, body: String) -> Result<Decision, Missing> {
        let failed = |why: String| Missing(ErrorClass::Dependency, why);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(error.to_string()))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| failed(whole(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let why = format!("it answered {}", response.status());
                return Err(Missing(ErrorClass::Overload, why));
            }
            other => return Err(failed(format!("it answered {other}"))),
        }
        let body = Limited::new(response.into_body(), MOST_BYTES);
        let body = body.collect().await;
        let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
        let reply: Reply =
            serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
        let said = reply.result;
        let said = said.ok_or_else(|| failed("its policy decided nothing".to_owned()))?;
        Ok(Decision {
            allow: said.allow,
            reason: Arc::from(said.reason.unwrap_or_else(|| "remote".to_owned())),
            valid: said.valid_for_s.and_then(valid_for),
        })
    }
}

/// An error with what it came of.
fn whole(error: &dyn Error) -> String {
    let mut whole = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        whole += &format!(": {error}");
        cause = error.source();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_can_be_asked() {
        let check = |url: &str, expect: Option<&str>| {
            let found = Remote::new(url, Duration::from_secs(1)).err();
            assert_eq!(found.map(|error| error.why), expect, "{url}");
        };
        check("http://127.0.0.1:8181/v1/data/gateway/decision", None);
        check("http://localhost", None);
        check("https://localhost", Some("is no URL with `http`"));
        check("localhost:8181", Some("is no URL with `http`"));
        check("/v1/data", Some("is no URL with `http`"));
        check("http://", Some("is no URL"));
        check("", Some("is no URL"));
    }
}
