//! HTTP servers of the pipelines: where they listen, whom they answer, how much may be sent, and how long anything may take.
//!
//! * **Where.** [`bind`] takes no address beyond loopback unless it is told that this is meant.
//! * **Whom.** The `Host` of a request is an IP address, `localhost`, or a name that was allowed ([`Hosts`]). A web page that has
//!   its own name resolve to this machine (DNS rebinding) is refused.
//! * **How much.** Heads and bodies have a size, and so have all bodies together ([`Limits`]); a body is read as a whole before a handler
//!   sees the request.
//! * **How long.** A head, a body and the answer have a time each, and so has a client that does not take what is written. So a slow
//!   client costs one of a bounded number of connections, for a bounded time.
//!
//! What is refused is answered with a status and `{"error": {"code": .., "message": ..}}`, and counted by its code ([`Refusals`]). Of a
//! head that is no HTTP, or too large, there is only a status.

mod body;
mod held;
mod hosts;
mod refusals;
mod server;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

pub use self::{hosts::Hosts, refusals::Refusals, server::Server};

/// How much and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes: 64 KiB.
    pub body_bytes: usize,
    /// How many bytes of bodies are held at a time, from when they come until they are answered: 64 MiB. What comes beyond that is
    /// refused with 503 and a `Retry-After`.
    pub held_bytes: usize,
    /// The largest head of a request, in bytes; at least 8 KiB, which is the default twice.
    pub head_bytes: usize,
    /// How long a client may take to send a head, to send a body, or to take a part of the answer: 10 s.
    pub client: Duration,
    /// How long an answer may take: 30 s.
    pub answer: Duration,
    /// Connections at a time: 1024. Others wait until one ends.
    pub connections: usize,
}

/// How long clients may take if nothing else is said: 10 s.
pub const CLIENT: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            held_bytes: 64 << 20,
            head_bytes: 16 * 1024,
            client: CLIENT,
            answer: Duration::from_secs(30),
            connections: 1024,
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Whoever reaches the machine could send requests.
    #[error(
        "{0} can be reached from other machines\nhelp: listen on 127.0.0.1, or add `--public` if this is meant"
    )]
    Public(SocketAddr),
    /// The system does not let it.
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, #[source] io::Error),
}

/// Listens. Only with `public` where other machines can reach it.
///
/// # Errors
///
/// If other machines could and are not to, or the system refuses.
pub fn bind(address: SocketAddr, public: bool) -> Result<TcpListener, BindError> {
    if !public && !address.ip().is_loopback() {
        return Err(BindError::Public(address));
    }
    let listener = TcpListener::bind(address).map_err(|why| BindError::Refused(address, why))?;
    let unblocked = listener.set_nonblocking(true);
    unblocked.map_err(|why| BindError::Refused(address, why))?;
    Ok(listener)
}

/// An answer that says what is wrong: `code` for programs and for the server's counts, `message` for people.
pub fn problem(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}});
    let mut response = json_response(status, &body);
    response.extensions_mut().insert(refusals::Problem(code));
    response
}

/// An answer in JSON.
pub fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    // What is written here are strings, numbers and objects of them, which always can be.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_beyond_loopback_unless_told_to() {
        let check = |address: &str, public, refused| {
            let address: SocketAddr = address.parse().expect("an address");
            let found = bind(address, public);
            let is_public = matches!(found, Err(BindError::Public(_)));
            assert_eq!(is_public, refused, "{address}: {found:?}");
        };
        check("127.0.0.1:0", false, false);
        check("127.9.9.9:0", false, false);
        check("0.0.0.0:0", false, true);
        check("0.0.0.0:0", true, false);
        check("192.0.2.1:0", false, true);
        check("[::]:0", false, true);
        let error = bind(([0, 0, 0, 0], 80).into(), false).expect_err("it is not told to");
        assert!(error.to_string().contains("`--public`"), "{error}");
    }

    #[test]
    fn an_address_that_is_in_use_is_named() {
        let first = bind(([127, 0, 0, 1], 0).into(), false).expect("a free port");
        let taken = first.local_addr().expect("it listens");
        let error = bind(taken, false).expect_err("it is taken");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}
