//! The values that travel through the pipeline.
//!
//! An event has one text, which everybody who gets it shares, and says where in it its fields stand.

use std::{net::Ipv4Addr, ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::reject::Fault;

/// What an event is about; services subscribe to kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file or a block was made, changed, moved or deleted.
    Filesystem,
    /// A database or a coordinator said something.
    Database,
    /// A request from outside.
    External,
    /// A call of a tool by the Model Context Protocol.
    Mcp,
    /// A service said something about itself.
    Service,
    /// The operating system and who logs in to it.
    System,
}

impl Kind {
    /// All of them, in the order of the summary.
    pub const ALL: [Self; 6] = [
        Self::Filesystem,
        Self::Database,
        Self::External,
        Self::Mcp,
        Self::Service,
        Self::System,
    ];

    /// The word in events, filters and the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Database => "database",
            Self::External => "external",
            Self::Mcp => "mcp",
            Self::Service => "service",
            Self::System => "system",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much an event matters, the least first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For who looks for a mistake.
    #[default]
    Debug,
    /// What usually happens.
    Info,
    /// What should be looked at.
    Warning,
    /// Something failed.
    Error,
    /// Something is down.
    Critical,
}

impl Severity {
    /// The word in events, filters and the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// How an event was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One JSON object in a line.
    Json,
    /// BSD syslog, as Linux writes it.
    Syslog,
    /// The error log of Apache.
    Apache,
    /// BSD syslog of `sshd`.
    OpenSsh,
    /// Log4j of the Hadoop file system.
    Hdfs,
    /// Log4j of Zookeeper.
    Zookeeper,
    /// oslo.log of OpenStack.
    OpenStack,
}

impl Format {
    /// All of them, in the order of the summary.
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Syslog,
        Self::Apache,
        Self::OpenSsh,
        Self::Hdfs,
        Self::Zookeeper,
        Self::OpenStack,
    ];

    /// The word in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Syslog => "syslog",
            Self::Apache => "apache",
            Self::OpenSsh => "openssh",
            Self::Hdfs => "hdfs",
            Self::Zookeeper => "zookeeper",
            Self::OpenStack => "openstack",
        }
    }

    /// What lines of this format are about; JSON says it itself.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Json => None,
            Self::Syslog | Self::OpenSsh => Some(Kind::System),
            Self::Apache => Some(Kind::Service),
            Self::Hdfs => Some(Kind::Filesystem),
            Self::Zookeeper => Some(Kind::Database),
            Self::OpenStack => Some(Kind::External),
        }
    }
}

/// Where something came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, address or generator.
    pub source: Arc<str>,
    /// Its line there, from 1.
    pub line: u64,
    /// When it came.
    pub received: Instant,
}

/// A line as it came, not yet looked at, or why there is none.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Where it came from.
    pub origin: Origin,
    /// The line without its end.
    pub text: Result<Bytes, Fault>,
}

impl Raw {
    /// Whether it counts as a line that came; what says that an input cannot be read does not.
    pub fn is_line(&self) -> bool {
        !matches!(self.text, Err(Fault::Unreadable(_)))
    }
}

/// A part of a text; an empty one stands for a field that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// These bytes of a text. Texts are shorter than 4 GiB, because lines are.
    pub fn new(range: Range<usize>) -> Self {
        Self {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    /// From where this begins to where the other ends.
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end,
        }
    }

    /// Where `part` stands in `text`, if it was cut out of it: by its address, not by what it says.
    pub fn find(text: &str, part: &str) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let end = start + part.len();
        (end <= text.len()).then(|| Self::new(start..end))
    }

    /// The part of `text` that it stands for.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A line with its fields, as it says them.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it came from.
    pub origin: Origin,
    /// How it was written.
    pub format: Format,
    /// What it is about.
    pub kind: Kind,
    /// The text that the spans are of.
    pub text: Arc<str>,
    /// Its fields.
    pub parts: Parts,
}

/// Where the fields of a line stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// The day: `Jun 14`, `081109`, `2015-07-29`; of a line that writes day and time as one, all of it.
    pub date: Span,
    /// The time of day.
    pub time: Span,
    /// How much it matters, in the words of its format.
    pub level: Span,
    /// The machine.
    pub host: Span,
    /// The program, class or logger.
    pub component: Span,
    /// The process or thread.
    pub pid: Span,
    /// The thread's name, of Zookeeper.
    pub node: Span,
    /// The line of the source code, of Zookeeper.
    pub place: Span,
    /// The file that the line was collected from, of OpenStack.
    pub file: Span,
    /// The request that the line belongs to, of OpenStack.
    pub context: Span,
    /// What happened.
    pub content: Span,
    /// What tells an event from all others, of JSON.
    pub id: Span,
    /// What belongs to it besides, of JSON.
    pub data: Span,
}

/// An event in the one form that all formats lead to.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where it came from.
    pub origin: Origin,
    /// How it was written.
    pub format: Format,
    /// What it is about.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// When it happened, in milliseconds since 1970 in UTC.
    pub at_ms: i64,
    /// Equal where all that says what happened is equal, whenever it happened.
    pub fingerprint: u64,
    /// The process or thread.
    pub pid: Option<u32>,
    /// The first address in its content.
    pub peer: Option<Ipv4Addr>,
    /// The text that the spans are of.
    pub text: Arc<str>,
    /// Its fields.
    pub parts: Parts,
}

impl Event {
    /// The machine; empty where the format has none.
    pub fn host(&self) -> &str {
        self.parts.host.of(&self.text)
    }

    /// The program, class or logger; empty where the format has none.
    pub fn component(&self) -> &str {
        self.parts.component.of(&self.text)
    }

    /// What happened.
    pub fn content(&self) -> &str {
        self.parts.content.of(&self.text)
    }
}
