//! What is asked: one request as it comes in, and what has to be right about it.

use pipewright::stage;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, error::Category};

use super::{
    env::Env,
    types::{Asked, Refused, Why},
};

/// The most bytes of a tenant's, a subject's or an action's name.
pub const MOST_NAME: usize = 256;
/// The most bytes of a resource's name.
pub const MOST_RESOURCE: usize = 2048;
/// The most bytes of a request's own name, which comes back with the answer.
pub const MOST_ID: usize = 128;
/// The most bytes of what decides: names and context together, as JSON.
pub const MOST_ALL: usize = 32 * 1024;

/// Whether a subject may do something to a resource.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Comes back with the answer and stands in the audit.
    #[serde(default)]
    pub id: Option<String>,
    /// For whom it is asked: rates, priorities and most policies go by it.
    pub tenant: String,
    /// Who.
    pub subject: String,
    /// Does what.
    pub action: String,
    /// To what.
    pub resource: String,
    /// Whatever else policies look at.
    #[serde(default)]
    pub context: Map<String, Value>,
}

/// A request as it came in: one that cannot be read is an item, too, so that it is counted, audited and answered.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its line, counted from 1, if it came from a file.
    pub line: Option<u64>,
    /// The request, or what is wrong with its text.
    pub read: Result<Box<Request>, String>,
}

impl Incoming {
    /// Reads a request from its text.
    pub fn read(text: &[u8]) -> Self {
        Self {
            line: None,
            read: read(text),
        }
    }

    /// Its line in a file, from 1 on.
    pub fn at(self, line: u64) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }

    /// A line of a file that is longer than a request may be.
    pub fn too_long(line: u64, most: usize) -> Self {
        Self {
            line: Some(line),
            read: Err(format!("the line is longer than {most} bytes")),
        }
    }

    /// The tenant that it names.
    pub fn tenant(&self) -> Option<&str> {
        self.read.as_ref().ok().map(|request| &*request.tenant)
    }
}

impl From<Request> for Incoming {
    fn from(request: Request) -> Self {
        Self {
            line: None,
            read: Ok(Box::new(request)),
        }
    }
}

fn read(text: &[u8]) -> Result<Box<Request>, String> {
    let text = std::str::from_utf8(text)
        .map_err(|error| format!("is not UTF-8 behind byte {}", error.valid_up_to()))?;
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    // A list of the fields' values in their order would be taken for a request, too.
    if !text.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => "is not a request: it has to be an object".to_owned(),
            Err(error) => format!("is not JSON: {error}"),
        });
    }
    let request = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => format!("is not a request: {error}"),
        _ => format!("is not JSON: {error}"),
    })?;
    Ok(Box::new(request))
}

/// Refuses what cannot be read, and names that cannot be; gives the others their policies.
#[stage]
pub fn validate(incoming: Incoming, env: &Env) -> Result<Asked, Refused> {
    let Incoming { line, read } = incoming;
    let request = match read {
        Ok(request) => request,
        Err(wrong) => return Err(Refused::unread(line, wrong)),
    };
    if let Err(wrong) = request.check() {
        return Err(Refused::of(*request, line, Why::Invalid(wrong)));
    }
    let key = request.key();
    if key.len() > MOST_ALL {
        let wrong = format!("the request is larger than {MOST_ALL} bytes");
        return Err(Refused::of(*request, line, Why::Invalid(wrong)));
    }
    Ok(Asked {
        line,
        key,
        policies: env.policies.current(),
        request,
    })
}

impl Request {
    fn check(&self) -> Result<(), String> {
        let names = [
            ("tenant", &self.tenant, MOST_NAME),
            ("subject", &self.subject, MOST_NAME),
            ("action", &self.action, MOST_NAME),
            ("resource", &self.resource, MOST_RESOURCE),
        ];
        for (field, name, most) in names {
            check_name(field, name, most)?;
        }
        match &self.id {
            Some(id) => check_name("id", id, MOST_ID),
            None => Ok(()),
        }
    }

    /// What decides, as one text: two requests with the same one get the same answer at the same time.
    fn key(&self) -> Box<str> {
        let Self {
            id: _,
            tenant,
            subject,
            action,
            resource,
            context,
        } = self;
        // Objects are written in the order of their keys, so that the order in the request makes no difference. Strings and
        // objects with strings for keys can always be written.
        let text = serde_json::to_string(&(tenant, subject, action, resource, context));
        text.unwrap_or_default().into()
    }
}

fn check_name(field: &str, name: &str, most: usize) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("`{field}` is empty"));
    }
    if name.len() > most {
        return Err(format!("`{field}` is longer than {most} bytes"));
    }
    match name.chars().find(|found| found.is_control()) {
        Some(found) => Err(format!(
            "`{field}` has the control character U+{:04X}",
            u32::from(found)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"tenant":"acme","subject":"ann","action":"read","resource":"doc:1"}"#;

    #[test]
    fn what_is_no_request_is_told_with_what_is_wrong_and_where() {
        let check = |text: &[u8], expect: &str| {
            let wrong = Incoming::read(text).read.expect_err(expect);
            assert!(wrong.contains(expect), "{wrong}");
        };
        check(b"", "is empty");
        check(b" \t", "is empty");
        check(b"\xff{}", "is not UTF-8 behind byte 0");
        check(b"{\"tenant\":\"\xc3\"}", "is not UTF-8 behind byte 11");
        check(
            b"{",
            "is not JSON: EOF while parsing an object at line 1 column 1",
        );
        check(b"hello", "is not JSON: expected value at line 1 column 1");
        check(b"[]", "is not a request: it has to be an object");
        check(b"7", "is not a request: it has to be an object");
        check(
            br#"[null,"acme","ann","read","doc:1",{}]"#,
            "is not a request: it has to be an object",
        );
        check(b"{}", "missing field `tenant`");
        check(
            br#"{"tenant":7}"#,
            "invalid type: integer `7`, expected a string",
        );
        check(
            &GOOD.replace("resource", "recource").into_bytes(),
            "unknown field `recource`, expected one of",
        );
        check(
            &GOOD.replace('}', r#","context":[]}"#).into_bytes(),
            "expected a map",
        );
        check(format!("{GOOD}{GOOD}").as_bytes(), "trailing characters");
        let deep = GOOD.replace('}', r#","context":{"a":"#) + &"[".repeat(100_000);
        check(deep.as_bytes(), "is not JSON: recursion limit exceeded");
    }

    #[test]
    fn names_have_a_length_and_no_control_characters() {
        let check = |change: fn(&mut Request), expect: &str| {
            let mut request = *Incoming::read(GOOD.as_bytes()).read.expect("it is one");
            assert_eq!(request.check(), Ok(()));
            change(&mut request);
            assert_eq!(request.check(), Err(expect.to_owned()));
        };
        check(|request| request.tenant.clear(), "`tenant` is empty");
        check(
            |request| request.subject = "s".repeat(257),
            "`subject` is longer than 256 bytes",
        );
        check(
            |request| request.action = "re\nad".into(),
            "`action` has the control character U+000A",
        );
        check(
            |request| request.resource = "r".repeat(2049),
            "`resource` is longer than 2048 bytes",
        );
        check(
            |request| request.id = Some("\u{85}".into()),
            "`id` has the control character U+0085",
        );
    }

    #[test]
    fn the_key_is_all_that_decides_and_nothing_else() {
        let key = |text: &str| {
            Incoming::read(text.as_bytes())
                .read
                .expect("it is one")
                .key()
        };
        let with = |context: &str| GOOD.replace('}', &format!(r#","context":{context}}}"#));
        assert_eq!(key(GOOD), key(&with("{}")));
        assert_eq!(key(GOOD), key(&GOOD.replace('}', r#","id":"7"}"#)));
        assert_eq!(
            key(&with(r#"{"a":1,"b":{"c":2,"d":3}}"#)),
            key(&with(r#"{"b":{"d":3,"c":2},"a":1}"#))
        );
        for other in [
            with(r#"{"a":1}"#),
            GOOD.replace("acme", "acm"),
            GOOD.replace("ann", "bob"),
            GOOD.replace("read", "write"),
            GOOD.replace("doc:1", "doc:2"),
            // The same characters, in other fields.
            GOOD.replace("acme", r#"acme\",\"ann"#)
                .replace(r#""ann""#, r#""""#),
        ] {
            assert_ne!(key(GOOD), key(&other), "{other}");
        }
    }
}
