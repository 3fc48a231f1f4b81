//! Makes events from a seed, in all formats and in the mix 30/25/20/10/10/5 of their kinds, or in another one.
//!
//! Every twenty lines of that mix have the exact shares, in an order that is drawn. One line in fifty repeats one of the lines just
//! before it, as a sender does that got no answer.

use bytes::Bytes;
use fastrand::Rng;
use jiff::{Timestamp, tz::TimeZone};

use super::types::Kind;

/// Of twenty events.
pub const SHARES: [(Kind, u16); 6] = [
    (Kind::Filesystem, 6),
    (Kind::Database, 5),
    (Kind::External, 4),
    (Kind::Mcp, 2),
    (Kind::Service, 2),
    (Kind::System, 1),
];
/// One line in so many is a repetition.
const REPEATED: u32 = 50;
/// A repetition is one of so many lines before it.
const RECENT: usize = 16;
/// 2026-01-01 in milliseconds since 1970: when the first event happened.
const BEGIN_MS: i64 = 1_767_225_600_000;
/// The longest an event can be made.
pub const LONGEST: usize = 60 << 10;

/// Lines of events.
#[derive(Debug, Clone)]
pub struct Generator {
    random: Rng,
    left: u64,
    /// Bytes of a line; as long as it gets by itself, if that is more.
    bytes: usize,
    at_ms: i64,
    number: u64,
    shares: [(Kind, u16); 6],
    kinds: Vec<Kind>,
    recent: Vec<Bytes>,
    filling: Vec<u8>,
}

impl Generator {
    /// So many lines, of at least so many bytes, up to [`LONGEST`].
    pub fn new(seed: u64, lines: u64, bytes: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let bytes = bytes.min(LONGEST);
        // Each line takes its own piece of it.
        let filling = (0..2 * bytes).map(|_| random.alphanumeric() as u8);
        Self {
            filling: filling.collect(),
            random,
            left: lines,
            bytes,
            at_ms: BEGIN_MS,
            number: 0,
            shares: SHARES,
            kinds: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// With other shares of the kinds, in the order of [`SHARES`]. If all are 0, all events are of the last kind.
    #[must_use]
    pub fn mixed(mut self, shares: [u16; 6]) -> Self {
        for ((_, own), share) in self.shares.iter_mut().zip(shares) {
            *own = share;
        }
        self
    }

    fn kind(&mut self) -> Kind {
        if self.kinds.is_empty() {
            let shares = self.shares.iter();
            let round =
                shares.flat_map(|(kind, share)| std::iter::repeat_n(*kind, (*share).into()));
            self.kinds.extend(round);
            self.random.shuffle(&mut self.kinds);
        }
        self.kinds.pop().unwrap_or(Kind::System)
    }

    fn line(&mut self) -> Bytes {
        self.number += 1;
        self.at_ms += self.random.i64(0..20);
        let kind = self.kind();
        let as_json = kind == Kind::Mcp || self.random.bool();
        let mut line = if as_json {
            self.json(kind)
        } else {
            self.log_line(kind)
        };
        self.fill(&mut line, as_json);
        Bytes::from(line)
    }

    /// Makes a line as long as it should be; its content is what grows.
    fn fill(&mut self, line: &mut String, as_json: bool) {
        let tail = if as_json { "\"}" } else { "" };
        let missing = self.bytes.saturating_sub(line.len() + 1 + tail.len());
        if missing > 0 {
            let from = self.random.usize(..self.filling.len() - missing);
            line.push(' ');
            let filling = self.filling[from..from + missing].iter();
            line.extend(filling.map(|byte| char::from(*byte)));
        }
        line.push_str(tail);
    }

    /// Everything but the end of the message.
    fn json(&mut self, kind: Kind) -> String {
        let severity = self.severity(["debug", "info", "warning", "error", "critical"]);
        let host = self.random.u8(0..8);
        let (component, message) = self.says(kind);
        format!(
            r#"{{"kind":"{}","at":{},"severity":"{severity}","host":"node-{host}","component":"{component}","message":"{message}"#,
            kind.name(),
            self.at_ms
        )
    }

    fn says(&mut self, kind: Kind) -> (&'static str, String) {
        let number = self.number;
        let of = self.random.u16(..);
        match kind {
            Kind::Filesystem => (
                "inotify",
                format!("modified /data/{}/{number}.parquet", of % 97),
            ),
            Kind::Database => (
                "orders",
                format!("row {number} of table {} updated", of % 40),
            ),
            Kind::External => (
                "gateway",
                format!(
                    "GET /v1/items/{number} from 203.0.113.{} answered 200",
                    of % 256
                ),
            ),
            Kind::Mcp => ("search", format!("tool call {number} of session {of} done")),
            Kind::Service => (
                "billing",
                format!("invoice {number} sent in {} ms", of % 500),
            ),
            Kind::System => ("systemd", format!("unit {number} of slice {of} started")),
        }
    }

    /// A line as the program writes it that such events come from.
    fn log_line(&mut self, kind: Kind) -> String {
        let (number, of) = (self.number, self.random.u16(1..));
        let at = |format: &str| stamp(format, self.at_ms);
        match kind {
            Kind::Filesystem => format!(
                "{} {of} INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_{number} terminating",
                at("%y%m%d %H%M%S")
            ),
            Kind::Database => {
                let time = at("%Y-%m-%d %H:%M:%S,%3f");
                let level = self.severity(["DEBUG", "INFO ", "WARN ", "ERROR", "FATAL"]);
                format!(
                    "{time} - {level} [QuorumPeer[myid={}]/0.0.0.0:2181:NIOServerCnxn@{of}] - Closed socket connection {number}",
                    of % 5
                )
            }
            Kind::External => format!(
                "nova-api.log {} {of} INFO nova.osapi_compute.wsgi.server [req-{number} - - - - -] 10.11.10.{} \"GET /v2/servers/{number} HTTP/1.1\" status: 200",
                at("%Y-%m-%d %H:%M:%S.%3f"),
                of % 256
            ),
            Kind::Service | Kind::Mcp => {
                let time = at("%a %b %d %H:%M:%S %Y");
                let level = self.severity(["debug", "notice", "warn", "error", "crit"]);
                format!("[{time}] [{level}] worker {of} took job {number}")
            }
            Kind::System => {
                let (time, node) = (at("%b %e %H:%M:%S"), of % 8);
                match of % 2 {
                    0 => format!(
                        "{time} node-{node} systemd[1]: Started session {number} of user {of}"
                    ),
                    _ => format!(
                        "{time} node-{node} sshd[{of}]: Accepted publickey for user{} port {number}",
                        of % 100
                    ),
                }
            }
        }
    }

    /// One of five words, the least first: most are an information.
    fn severity(&mut self, words: [&'static str; 5]) -> &'static str {
        words[match self.random.u8(..100) {
            0..5 => 0,
            5..80 => 1,
            80..93 => 2,
            93..99 => 3,
            _ => 4,
        }]
    }
}

/// A time as a log writes it.
fn stamp(format: &str, at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

impl Iterator for Generator {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.left = self.left.checked_sub(1)?;
        if !self.recent.is_empty() && self.random.u32(..REPEATED) == 0 {
            return self.random.choice(&self.recent).cloned();
        }
        let line = self.line();
        if self.recent.len() < RECENT {
            self.recent.push(line.clone());
        } else {
            self.recent[self.number as usize % RECENT] = line.clone();
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_lines() {
        let lines = |seed| Generator::new(seed, 200, 0).collect::<Vec<_>>();
        assert_eq!(lines(7), lines(7));
        assert_ne!(lines(7), lines(8));
    }

    #[test]
    fn a_mix_says_how_often_each_kind_comes() {
        let lines = Generator::new(3, 100, 0).mixed([0, 0, 0, 3, 0, 1]);
        let is_mcp = |line: &Bytes| line.windows(12).any(|text| text == br#""kind":"mcp""#);
        let mcp = lines.filter(is_mcp).count();
        // Repetitions come besides.
        assert!((70..80).contains(&mcp), "{mcp} of 100");
    }

    #[test]
    fn lines_are_as_long_as_they_should_be() {
        for bytes in [256, 512, 8 << 10, LONGEST] {
            let lines = Generator::new(1, 100, bytes);
            assert!(lines.into_iter().all(|line| line.len() == bytes), "{bytes}");
        }
    }
}
