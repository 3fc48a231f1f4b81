//! What a line says: in which format it is, and where its fields stand.

mod formats;
mod json;

use std::sync::Arc;

use pipewright::stage;

use super::{
    reject::{Reason, Reject},
    types::{Raw, Record},
};

pub(super) use formats::month;
pub use formats::recognise;

/// Recognises a line's format by how it begins, and finds its fields. Blank lines are left out.
#[stage]
pub fn parse(raw: Raw) -> Result<Option<Record>, Reject> {
    let Raw { origin, text } = raw;
    let line = match text {
        Ok(line) => line,
        Err(fault) => return Err(Reject::new(origin, fault.into())),
    };
    let text = match std::str::from_utf8(&line) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let reason = Reason::NotUtf8(error.valid_up_to());
            return Err(Reject::new(origin, reason));
        }
    };
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let read = if text.starts_with('{') {
        json::read(text)
    } else {
        recognise(text).and_then(|(format, parts)| {
            let kind = format.kind();
            let kind = kind.ok_or_else(|| Reason::UnknownKind(String::new()))?;
            Ok(json::Read {
                format,
                kind,
                text: Arc::from(text),
                parts,
            })
        })
    };
    match read {
        Ok(read) => Ok(Some(Record {
            origin,
            format: read.format,
            kind: read.kind,
            text: read.text,
            parts: read.parts,
        })),
        Err(reason) => Err(Reject::new(origin, reason)),
    }
}
