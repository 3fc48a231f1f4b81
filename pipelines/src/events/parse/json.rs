//! Events as JSON, one object in a line.
//!
//! ```json
//! {"id": "7f", "kind": "mcp", "at": "2026-11-22T07:00:00Z", "severity": "info", "host": "a1", "component": "search",
//!  "pid": 17, "message": "tool called", "data": {"tool": "grep"}}
//! ```
//!
//! Only `kind` and `message` must be there. `at` is a time by RFC 3339 or a number of milliseconds since 1970; without it, the
//! event happens when it is read.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::events::{
    reject::Reason,
    types::{Format, Kind, Parts, Span},
};

/// What a line says.
pub(super) struct Read {
    pub(super) format: Format,
    pub(super) kind: Kind,
    pub(super) text: Arc<str>,
    pub(super) parts: Parts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'l> {
    #[serde(borrow)]
    kind: Cow<'l, str>,
    #[serde(borrow)]
    message: Cow<'l, str>,
    #[serde(borrow, default)]
    id: Cow<'l, str>,
    #[serde(borrow, default)]
    severity: Cow<'l, str>,
    #[serde(borrow, default)]
    host: Cow<'l, str>,
    #[serde(borrow, default)]
    component: Cow<'l, str>,
    #[serde(borrow)]
    at: Option<&'l RawValue>,
    pid: Option<u32>,
    #[serde(borrow)]
    data: Option<&'l RawValue>,
}

/// Reads a line. Its fields are left where they are; those with escapes are written behind it.
pub(super) fn read(line: &str) -> Result<Read, Reason> {
    let object: Object<'_> =
        serde_json::from_str(line).map_err(|error| Reason::NotAnEvent(error.to_string()))?;
    let Some(kind) = Kind::named(&object.kind) else {
        return Err(Reason::UnknownKind(object.kind.chars().take(60).collect()));
    };
    let mut text = Text {
        line,
        behind: String::new(),
    };
    let raw = |value: Option<&RawValue>| {
        let piece = value.and_then(|value| Span::find(line, value.get()));
        piece.unwrap_or_default()
    };
    let parts = Parts {
        date: raw(object.at),
        data: raw(object.data),
        level: text.place(&object.severity),
        host: text.place(&object.host),
        component: text.place(&object.component),
        content: text.place(&object.message),
        id: text.place(&object.id),
        pid: match object.pid {
            Some(pid) => text.place(&pid.to_string()),
            None => Span::default(),
        },
        ..Parts::default()
    };
    Ok(Read {
        format: Format::Json,
        kind,
        text: text.finish(),
        parts,
    })
}

/// A line, and what had to be written anew.
struct Text<'l> {
    line: &'l str,
    behind: String,
}

impl Text<'_> {
    fn place(&mut self, piece: &str) -> Span {
        if piece.is_empty() {
            return Span::default();
        }
        if let Some(place) = Span::find(self.line, piece) {
            return place;
        }
        let start = self.line.len() + self.behind.len();
        self.behind.push_str(piece);
        Span::new(start..start + piece.len())
    }

    fn finish(self) -> Arc<str> {
        match self.behind.is_empty() {
            true => Arc::from(self.line),
            false => Arc::from([self.line, &self.behind].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_with_and_without_escapes() {
        let line = r#"{"kind":"mcp","message":"a \"b\"","host":"h\u00e9","component":"plain","pid":7,"data":{"x":1}}"#;
        let read = read(line).unwrap_or_else(|reason| panic!("{reason}"));
        let of = |span: Span| span.of(&read.text).to_owned();
        assert_eq!(of(read.parts.content), "a \"b\"");
        assert_eq!(of(read.parts.host), "hé");
        assert_eq!(of(read.parts.component), "plain");
        assert_eq!(of(read.parts.pid), "7");
        assert_eq!(of(read.parts.data), r#"{"x":1}"#);
        assert_eq!(of(read.parts.id), "");
        assert_eq!(read.kind, Kind::Mcp);
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let refused = |line: &str, code: &str, expect: &str| {
            let reason = read(line).err().expect(line);
            assert_eq!(reason.code(), code, "{reason}");
            assert!(reason.to_string().contains(expect), "{reason}");
        };
        refused("{", "not_an_event", "EOF");
        refused("{}", "not_an_event", "missing field `kind`");
        refused(
            r#"{"kind":"mcp"}"#,
            "not_an_event",
            "missing field `message`",
        );
        refused(
            r#"{"kind":"mcp","message":"a","colour":1}"#,
            "not_an_event",
            "unknown field `colour`",
        );
        refused(
            r#"{"kind":"toast","message":"a"}"#,
            "unknown_kind",
            "unknown kind `toast`; kinds are filesystem, database",
        );
        refused(r#"{"kind":7,"message":"a"}"#, "not_an_event", "string");
        refused(
            &format!("{{\"data\":{}", "[".repeat(200_000)),
            "not_an_event",
            "",
        );
    }
}
