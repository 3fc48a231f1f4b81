//! What one dead letter says, and how it lies in a frame.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::letter::Origin;

/// The longest text of an error that is kept, in bytes; what is longer is cut.
const MAX_TEXT: usize = 64 << 10;

/// The longest payload that is kept whole, in bytes. Of what is longer, the hash is kept.
pub(super) const MAX_PAYLOAD: usize = 16 << 20;

/// What is kept of the items that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// All of it, which `replay` needs.
    #[default]
    Full,
    /// Its SHA-256 and its length: enough to recognise an item that is at hand elsewhere. It is not secret: whoever can guess
    /// an item can tell whether it was this one.
    Digest,
    /// Nothing.
    None,
}

/// What a dead letter says, to be written.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When it failed.
    pub time: SystemTime,
    /// The stage that it failed in.
    pub stage: &'a str,
    /// What kind of error it was, such as `dependency`.
    pub class: &'a str,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it came from, if that is known.
    pub origin: Option<Origin>,
    /// What the error says.
    pub error: &'a str,
}

/// What is kept of an item.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// JSON.
    Json(Vec<u8>),
    /// Bytes of whatever kind.
    Bytes(Vec<u8>),
    /// Its SHA-256 and length, because only that was asked for, or because it is longer than 16 MiB.
    Digest {
        /// SHA-256.
        sha256: [u8; 32],
        /// Length in bytes.
        len: u64,
    },
    /// Nothing.
    None,
    /// It could not be turned into JSON, for this reason.
    Failed(String),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in it may be secret.
        match self {
            Self::Json(json) => write!(f, "Json({} bytes)", json.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Digest { len, .. } => write!(f, "Hash of {len} bytes"),
            Self::None => f.write_str("None"),
            Self::Failed(why) => write!(f, "Failed({why})"),
        }
    }
}

/// A dead letter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its number in its folder, from 1.
    pub number: u64,
    /// When it failed, to the microsecond.
    pub time: SystemTime,
    /// The stage that it failed in.
    pub stage: String,
    /// What kind of error it was.
    pub class: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it came from, if that is known.
    pub origin: Option<Origin>,
    /// What the error says.
    pub error: String,
    /// What is kept of the item.
    pub payload: Payload,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    number: u64,
    micros: u64,
    stage: &'a str,
    class: &'a str,
    attempts: u32,
    origin: Option<(&'a str, u64, Option<u32>)>,
    error: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Json,
    Bytes,
    Digest { sha256: [u8; 32], len: u64 },
    None,
    Failed,
}

/// The body of a letter that has no number yet.
pub(super) struct Draft<'a> {
    entry: &'a Entry<'a>,
    kind: Kind,
    payload: Vec<u8>,
}

impl<'a> Draft<'a> {
    pub(super) fn json<T: Serialize + ?Sized>(entry: &'a Entry<'a>, item: &T, keep: Keep) -> Self {
        match keep {
            Keep::None => Self::of(entry, Kind::None, Vec::new()),
            _ => match serde_json::to_vec(item) {
                Ok(json) => Self::bounded(entry, Kind::Json, json, keep),
                Err(error) => Self::of(
                    entry,
                    Kind::Failed,
                    cut(&error.to_string()).as_bytes().to_vec(),
                ),
            },
        }
    }

    pub(super) fn bytes(entry: &'a Entry<'a>, bytes: &[u8], keep: Keep) -> Self {
        Self::bounded(entry, Kind::Bytes, bytes.to_vec(), keep)
    }

    pub(super) fn without_payload(entry: &'a Entry<'a>) -> Self {
        Self::of(entry, Kind::None, Vec::new())
    }

    fn bounded(entry: &'a Entry<'a>, kind: Kind, payload: Vec<u8>, keep: Keep) -> Self {
        if keep == Keep::None {
            return Self::of(entry, Kind::None, Vec::new());
        }
        if keep == Keep::Full && payload.len() <= MAX_PAYLOAD {
            return Self::of(entry, kind, payload);
        }
        let (sha256, len) = (Sha256::digest(&payload).into(), payload.len() as u64);
        Self::of(entry, Kind::Digest { sha256, len }, Vec::new())
    }

    fn of(entry: &'a Entry<'a>, kind: Kind, payload: Vec<u8>) -> Self {
        Self {
            entry,
            kind,
            payload,
        }
    }

    /// About how many bytes its frame has.
    pub(super) fn size(&self) -> usize {
        self.payload.len() + self.entry.error.len().min(MAX_TEXT) + 128
    }

    /// The body, with its number. Names longer than [`MAX_TEXT`] are cut, as texts are.
    pub(super) fn body(&self, number: u64) -> Result<Vec<u8>, postcard::Error> {
        let entry = self.entry;
        let origin = entry.origin.as_ref();
        let since = entry
            .time
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let header = Header {
            number,
            micros: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
            stage: cut(entry.stage),
            class: cut(entry.class),
            attempts: entry.attempts,
            origin: origin.map(|origin| (cut(&origin.source), origin.batch, origin.index)),
            error: cut(entry.error),
            kind: self.kind,
        };
        let mut body = postcard::to_stdvec(&header)?;
        body.extend_from_slice(&self.payload);
        Ok(body)
    }
}

/// The first [`MAX_TEXT`] bytes of a text, or a few less.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

impl Record {
    /// Reads a body; `None` if it is none.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let (header, payload) = postcard::take_from_bytes::<Header<'_>>(body).ok()?;
        let payload = match header.kind {
            Kind::Json => Payload::Json(payload.to_vec()),
            Kind::Bytes => Payload::Bytes(payload.to_vec()),
            Kind::Digest { sha256, len } => Payload::Digest { sha256, len },
            Kind::None => Payload::None,
            Kind::Failed => Payload::Failed(String::from_utf8_lossy(payload).into_owned()),
        };
        Some(Self {
            number: header.number,
            time: UNIX_EPOCH.checked_add(Duration::from_micros(header.micros))?,
            stage: header.stage.to_owned(),
            class: header.class.to_owned(),
            attempts: header.attempts,
            origin: header
                .origin
                .map(|(source, batch, index)| Origin::new(source.to_owned(), batch, index)),
            error: header.error.to_owned(),
            payload,
        })
    }

    /// The number of the letter in a body, without the rest.
    pub(super) fn number_of(body: &[u8]) -> Option<u64> {
        let (header, _) = postcard::take_from_bytes::<Header<'_>>(body).ok()?;
        Some(header.number)
    }
}
