//! Why something was rejected, and where it stood.

use std::fmt;

use super::types::Origin;

/// Something that no service gets, with its place and its reason.
///
/// It is the one error type of the pipeline's stages, so that one sink reads all of their `Err` doors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Reject {
    /// Where it came from.
    pub origin: Origin,
    /// Why.
    pub reason: Reason,
}

impl Reject {
    /// Rejects what came from here.
    pub fn new(origin: Origin, reason: Reason) -> Self {
        Self { origin, reason }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { source, line, .. } = &self.origin;
        match line {
            0 => write!(f, "{source}: {}", self.reason),
            line => write!(f, "{source}:{line}: {}", self.reason),
        }
    }
}

/// What kept a line from being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The source cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The line has too many bytes; what follows it was read.
    #[error("has {bytes} bytes; a line may have {most}")]
    TooLong {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        most: usize,
    },
    /// The client went away, or sent nothing for too long, in the middle of a line.
    #[error("broke off after {bytes} bytes of a line: {why}")]
    CutOff {
        /// What came of it.
        bytes: u64,
        /// What happened.
        why: &'static str,
    },
    /// One client more than there may be.
    #[error("was turned away: {most} clients are connected")]
    TooManyClients {
        /// How many there may be.
        most: usize,
    },
    /// The client speaks HTTP at a port for lines, as web pages of anybody can.
    #[error("speaks HTTP, which only `--http` takes: nothing of it is read")]
    HttpRequest,
    /// What was watched is not there any more; it is watched again when it comes back.
    #[error("is not there any more, and is looked for until it comes back")]
    Gone,
    /// The system could not keep all changes until they were read.
    #[error("changed faster than the system could tell: some changes are not known")]
    Missed,
}

/// Why something was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is no line.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The line is not text.
    #[error("is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// The line looks like none of the formats.
    #[error("has none of the known formats: `{0}`")]
    UnknownFormat(String),
    /// The line looks like a format, and ends too early or has something else at a place.
    #[error("is no line of {format}: {detail}")]
    Malformed {
        /// What it looks like.
        format: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// The line is not JSON, or not an object with the fields of an event.
    #[error("is not an event: {0}")]
    NotAnEvent(String),
    /// A kind that nobody here knows.
    #[error(
        "has the unknown kind `{0}`; kinds are filesystem, database, external, mcp, service and system"
    )]
    UnknownKind(String),
    /// A time that is none.
    #[error("has no time that can be: `{0}`")]
    BadTime(String),
    /// The service takes no more at the moment, and asked to be told so.
    #[error("service `{0}` is full")]
    ServiceFull(String),
    /// The service has ended.
    #[error("service `{0}` takes no more")]
    ServiceClosed(String),
}

impl Reason {
    /// The word in the summary.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fault(Fault::Unreadable(_)) => "unreadable",
            Self::Fault(Fault::TooLong { .. }) => "too_long",
            Self::Fault(Fault::CutOff { .. }) => "cut_off",
            Self::Fault(Fault::TooManyClients { .. }) => "too_many_clients",
            Self::Fault(Fault::HttpRequest) => "http_request",
            Self::Fault(Fault::Gone) => "gone",
            Self::Fault(Fault::Missed) => "missed",
            Self::NotUtf8(_) => "not_utf8",
            Self::UnknownFormat(_) => "unknown_format",
            Self::Malformed { .. } => "malformed",
            Self::NotAnEvent(_) => "not_an_event",
            Self::UnknownKind(_) => "unknown_kind",
            Self::BadTime(_) => "bad_time",
            Self::ServiceFull(_) => "service_full",
            Self::ServiceClosed(_) => "service_closed",
        }
    }
}

/// As much of a line as a message shows.
pub(super) fn excerpt(line: &str) -> String {
    const MOST: usize = 60;
    match line.char_indices().nth(MOST) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}..", &line[..at]),
    }
}
