//! Where the events of a service end.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use serde::Serialize;
use serde_json::value::RawValue;

use super::types::{Event, Kind, Severity};

/// Why an event did not get to where it should; the word is that of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed(pub &'static str);

/// Where the events of a service end.
pub trait Target: Send + fmt::Debug {
    /// Takes events, and says of each what became of it.
    fn take(&mut self, events: &[Arc<Event>]) -> Vec<Result<(), Missed>>;
}

/// Counts, and does nothing else.
#[derive(Debug, Default)]
pub struct Count;

impl Target for Count {
    fn take(&mut self, events: &[Arc<Event>]) -> Vec<Result<(), Missed>> {
        vec![Ok(()); events.len()]
    }
}

/// The end of a file, one JSON object in a line, as the pipeline reads it.
///
/// A line is there as a whole or not at all: what a full disk left of one is cut off, and the next one is tried again.
#[derive(Debug)]
pub struct Append {
    file: File,
    /// What of the file is whole.
    length: u64,
    buffer: Vec<u8>,
}

impl Append {
    /// Opens a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If that cannot be.
    pub fn open(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|error| {
            let message = format!("cannot open {}: {error}", path.display());
            io::Error::new(error.kind(), message)
        })?;
        Ok(Self {
            length: file.metadata()?.len(),
            file,
            buffer: Vec::new(),
        })
    }

    /// Writes what is in the buffer, all or nothing of it.
    fn write(&mut self) -> Result<(), Missed> {
        match self.file.write_all(&self.buffer) {
            Ok(()) => {
                self.length += self.buffer.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A device cannot be cut off; nothing of it is left either.
                drop(self.file.set_len(self.length));
                Err(Missed(match error.kind() {
                    io::ErrorKind::StorageFull => "disk_full",
                    io::ErrorKind::QuotaExceeded => "quota_exceeded",
                    io::ErrorKind::FileTooLarge => "file_too_large",
                    _ => "cannot_write",
                }))
            }
        }
    }
}

impl Target for Append {
    fn take(&mut self, events: &[Arc<Event>]) -> Vec<Result<(), Missed>> {
        self.buffer.clear();
        for event in events {
            write_line(event, &mut self.buffer);
        }
        if self.write().is_ok() {
            return vec![Ok(()); events.len()];
        }
        // Not all of them have room together; some may have one by one.
        let one = |event: &Arc<Event>| {
            self.buffer.clear();
            write_line(event, &mut self.buffer);
            self.write()
        };
        events.iter().map(one).collect()
    }
}

/// An event as [`parse`](super::parse) reads it, with where it came from in its `data`.
#[derive(Serialize)]
struct Line<'e> {
    kind: Kind,
    at: i64,
    severity: Severity,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    component: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    message: &'e str,
    data: Data<'e>,
}

#[derive(Serialize)]
struct Data<'e> {
    source: &'e str,
    line: u64,
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<std::net::Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'e RawValue>,
}

fn write_line(event: &Event, into: &mut Vec<u8>) {
    let line = Line {
        kind: event.kind,
        at: event.at_ms,
        severity: event.severity,
        id: event.parts.id.of(&event.text),
        host: event.host(),
        component: event.component(),
        pid: event.pid,
        message: event.content(),
        data: Data {
            source: &event.origin.source,
            line: event.origin.line,
            format: event.format.name(),
            peer: event.peer,
            data: serde_json::from_str(event.parts.data.of(&event.text)).ok(),
        },
    };
    // Nothing of it can fail: it has no maps, and a vector takes everything.
    drop(serde_json::to_writer(&mut *into, &line));
    into.push(b'\n');
}
