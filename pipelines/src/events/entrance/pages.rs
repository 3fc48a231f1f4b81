//! What web pages send here: nobody who opens a page means to send events with it.
//!
//! A page of anybody can have a browser send a text to all addresses that the browser reaches. By HTTP, browsers say from which page
//! it comes. At a port for lines it begins as a request does, and its body would be lines.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;

use crate::{events::reject::Fault, http};

/// How requests begin that a browser may send.
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"PATCH ",
    b"DELETE ",
    b"OPTIONS ",
    b"TRACE ",
    b"CONNECT ",
    b"PRI ",
];
/// Bytes by which they can be told.
pub(super) const HEAD: usize = 8;

/// Whose pages may send: those of this machine, of the server that is asked, and of these names.
#[derive(Debug)]
pub(super) struct Pages(Vec<String>);

impl Pages {
    pub(super) fn allow(names: &[String]) -> Self {
        Self(names.to_vec())
    }

    /// Where a request comes from, if that is a page that may not send.
    fn stranger<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let mut sites = headers.get_all("sec-fetch-site").iter();
        let site = sites.find(|site| *site == "cross-site" || *site == "same-site");
        let asked = host(headers.get(header::HOST));
        let mut origins = headers.get_all(header::ORIGIN).iter();
        site.or_else(|| origins.find(|origin| !self.knows(origin, asked.as_deref())))
    }

    /// An address that anybody may have says nothing of who is there, unless it is the one that is asked.
    fn knows(&self, origin: &HeaderValue, asked: Option<&str>) -> bool {
        let Some(host) = host(Some(origin)) else {
            return false;
        };
        let bare = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let names = self.0.iter().map(String::as_str);
        bare.is_ok_and(|address| address.is_loopback())
            || asked == Some(&host)
            || names
                .chain(["localhost"])
                .any(|name| name.eq_ignore_ascii_case(&host))
    }
}

/// The host in `http://host:80` or `host:80`.
fn host(value: Option<&HeaderValue>) -> Option<String> {
    let uri = Uri::try_from(value?.as_bytes()).ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

/// Lets a request through, unless it comes from a page that may not send.
pub(super) async fn guard(
    State(pages): State<Arc<Pages>>,
    request: Request,
    next: Next,
) -> Response {
    match pages.stranger(request.headers()) {
        None => next.run(request).await,
        Some(from) => {
            let from = String::from_utf8_lossy(from.as_bytes());
            let message = format!(
                "a web page has no business here: `{from}`\nhelp: send without a browser, or let its name in with `--allow-host NAME`"
            );
            http::problem(StatusCode::FORBIDDEN, "foreign_page", &message)
        }
    }
}

/// Whether a client speaks HTTP, by its first bytes and its first line. One that is too long is not kept, so there the bytes decide.
pub(super) fn is_request(head: &[u8], line: &Result<Bytes, Fault>) -> bool {
    let has_version = |line: &Bytes| {
        let last = line.rsplit(|byte| *byte == b' ').next();
        last.is_some_and(|version| version.starts_with(b"HTTP/"))
    };
    METHODS.iter().any(|method| head.starts_with(method)) && line.as_ref().map_or(true, has_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_of_the_server_and_of_allowed_names_may_send() {
        let pages = Pages::allow(&["events.example".to_owned()]);
        let check = |host: &'static str, of: &'static str, is_stranger| {
            let (name, value) = of.split_once(": ").expect("a header");
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.append("origin", HeaderValue::from_static("http://localhost"));
            headers.append(name, HeaderValue::from_static(value));
            assert_eq!(pages.stranger(&headers).is_some(), is_stranger, "{of}");
        };
        check("localhost", "accept: *", false);
        check("localhost", "origin: http://127.0.0.1:8080", false);
        check("localhost", "origin: https://[::1]:8080", false);
        check("localhost", "origin: http://Events.Example", false);
        check("localhost", "origin: http://evil.example", true);
        check("localhost", "origin: http://localhost.evil.example", true);
        check("localhost", "origin: null", true);
        check("localhost", "origin: ", true);
        check("192.0.2.1:5171", "origin: http://192.0.2.1", false);
        check("192.0.2.1:5171", "origin: http://192.0.2.2:5171", true);
        check("localhost", "sec-fetch-site: same-origin", false);
        check("localhost", "sec-fetch-site: none", false);
        check("localhost", "sec-fetch-site: same-site", true);
        check("localhost", "sec-fetch-site: cross-site", true);
    }

    #[test]
    fn a_request_is_known_by_its_first_line() {
        let check = |line: &'static str, is_long, expect| {
            let head = &line.as_bytes()[..line.len().min(HEAD)];
            let line = match is_long {
                false => Ok(Bytes::from_static(line.as_bytes())),
                true => Err(Fault::TooLong { bytes: 9, most: 8 }),
            };
            assert_eq!(is_request(head, &line), expect, "{line:?}");
        };
        check("POST /x HTTP/1.1", false, true);
        check("GET / HTTP/1.0", false, true);
        check("CONNECT a:1 HTTP/1.1", false, true);
        check("OPTIONS * HTTP/1.1", false, true);
        check("PRI * HTTP/2.0", false, true);
        check("POST /xxxxxxxxxx", true, true);
        check("POST /x was slow", false, false);
        check("1.2.3.4 - - POST /x HTTP/1.1", false, false);
        check("ERROR HTTP/1.1", false, false);
        check("ERROR xxxxxxxxxx", true, false);
        check("", false, false);
    }
}
