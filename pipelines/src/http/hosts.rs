//! Whom a request may name as its host.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

/// The names that a server answers to: every IP address, `localhost`, and those that were allowed.
///
/// A name that anybody can register may resolve to this machine, an address cannot: so addresses need no list.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stranger {
    #[error("the request names no host")]
    Nobody,
    #[error(
        "`{0}` is not a name of this server\nhelp: ask for 127.0.0.1 or localhost, or start it with `--allow-host NAME`"
    )]
    Name(String),
}

impl Hosts {
    /// Allows further names, without a port.
    pub fn allow(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Checks the `Host` header, and the host in the target of the request where it has one.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Stranger> {
        let mut named = headers.get_all(header::HOST).iter();
        let first = named.next().ok_or(Stranger::Nobody)?;
        let all = [first].into_iter().chain(named);
        for value in all {
            let text = String::from_utf8_lossy(value.as_bytes());
            self.check_name(without_port(&text))?;
        }
        uri.host().map_or(Ok(()), |host| self.check_name(host))
    }

    fn check_name(&self, name: &str) -> Result<(), Stranger> {
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_address = bare.unwrap_or(name).parse::<IpAddr>().is_ok();
        let is_known = || self.0.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_address || name.eq_ignore_ascii_case("localhost") || is_known() {
            return Ok(());
        }
        Err(match name {
            "" => Stranger::Nobody,
            name => Stranger::Name(name.chars().take(255).collect()),
        })
    }
}

/// `name:8080` and `[::1]:8080` without their port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() =>
        {
            let is_inside = name.starts_with('[') && !name.ends_with(']');
            if is_inside { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn addresses_localhost_and_allowed_names_are_answered() {
        let hosts = Hosts::allow(["gate.internal".to_owned()]);
        let check = |host: &[u8], uri: &str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            if !host.is_empty() {
                headers.insert(
                    header::HOST,
                    HeaderValue::from_bytes(host).expect("a value"),
                );
            }
            let found = hosts.check(&uri.parse().expect("a target"), &headers);
            let found = found.map_err(|stranger| match stranger {
                Stranger::Nobody => String::new(),
                Stranger::Name(name) => name,
            });
            assert_eq!(found.err().as_deref(), expect, "{host:?} {uri}");
        };
        check(b"127.0.0.1:8080", "/", None);
        check(b"127.0.0.1", "/", None);
        check(b"[::1]:8080", "/", None);
        check(b"[::1]", "/", None);
        check(b"LocalHost:80", "/", None);
        check(b"gate.internal:8080", "/", None);
        check(b"localhost", "http://localhost:8080/", None);
        check(b"", "/", Some(""));
        check(b":80", "/", Some(":80"));
        check(b"evil.example", "/", Some("evil.example"));
        check(
            b"localhost.evil.example:80",
            "/",
            Some("localhost.evil.example"),
        );
        check(
            b"127.0.0.1.evil.example",
            "/",
            Some("127.0.0.1.evil.example"),
        );
        check(b"localhost", "http://evil.example/", Some("evil.example"));
        check(b"\xff", "/", Some("\u{fffd}"));
    }

    #[test]
    fn of_two_hosts_both_are_checked() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        let found = Hosts::default().check(&Uri::from_static("/"), &headers);
        assert_eq!(found, Err(Stranger::Name("evil.example".into())));
    }
}
