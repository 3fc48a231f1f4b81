//! The six formats of log lines.
//!
//! | format | a line of it |
//! |---|---|
//! | syslog | `Jun 14 15:16:01 host program[pid]: content`, with or without `<priority>` before it |
//! | OpenSSH | the same, of `sshd` |
//! | Apache | `[Sun Dec 04 04:47:44 2005] [level] content`; since 2.4 `[module:level] [pid n:tid m]` |
//! | HDFS | `081109 203615 148 INFO class: content` |
//! | Zookeeper | `2015-07-29 17:41:44,747 - INFO  [node:class@line] - content` |
//! | OpenStack | `2017-05-16 00:00:00.008 25746 INFO logger [request] content`, with or without a file's name before it |
//!
//! A format is known by how a line begins, so that each line is gone over once. Numbers and days are looked at when they are
//! used, by `normalise`.

use memchr::memmem;

use crate::events::{
    reject::{Reason, excerpt},
    types::{Format, Parts, Span},
};

/// The format of a line, and where its fields stand.
///
/// # Errors
///
/// If the line begins like none of the formats, or goes on like none.
pub fn recognise(line: &str) -> Result<(Format, Parts), Reason> {
    let unknown = || Reason::UnknownFormat(excerpt(line));
    match line.as_bytes().first().ok_or_else(unknown)? {
        b'[' => told(line, Format::Apache, apache(line)),
        b'<' => told(line, Format::Syslog, syslog(line)),
        _ if is_month(line) => told(line, Format::Syslog, syslog(line)),
        b'0'..=b'9' if is_compact_day(line) => told(line, Format::Hdfs, hdfs(line)),
        b'0'..=b'9' if is_day(line) && line.as_bytes().get(19) == Some(&b',') => {
            told(line, Format::Zookeeper, zookeeper(line))
        }
        _ if is_day(line) || after_word(line).is_some_and(is_day) => {
            told(line, Format::OpenStack, openstack(line))
        }
        _ => Err(unknown()),
    }
}

fn told(
    line: &str,
    format: Format,
    parts: Result<Parts, &'static str>,
) -> Result<(Format, Parts), Reason> {
    let name = format.name();
    let parts = parts.map_err(|detail| Reason::Malformed {
        format: name,
        detail,
    })?;
    let format = match format {
        Format::Syslog if is_sshd(line, &parts) => Format::OpenSsh,
        other => other,
    };
    Ok((format, parts))
}

/// `sshd(pam_unix)` is another program: the module that `sshd` asks.
fn is_sshd(line: &str, parts: &Parts) -> bool {
    parts.component.of(line) == "sshd"
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The number of a month's English name, from 1.
pub(in crate::events) fn month(name: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|month| *month == name)?;
    Some(at as i8 + 1)
}

fn is_month(line: &str) -> bool {
    line.as_bytes().get(3) == Some(&b' ') && line.get(..3).and_then(month).is_some()
}

/// Does it begin with `081109 203615 `?
fn is_compact_day(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 13
        && bytes[..6].iter().all(u8::is_ascii_digit)
        && bytes[6] == b' '
        && bytes[7..13].iter().all(u8::is_ascii_digit)
        && bytes[13] == b' '
}

/// Does it begin with `2015-07-29 `?
fn is_day(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && bytes[10] == b' '
}

fn after_word(line: &str) -> Option<&str> {
    line.split_once(' ').map(|(_, rest)| rest)
}

/// Where a piece of the line stands.
fn part(line: &str, piece: &str) -> Span {
    Span::find(line, piece).unwrap_or_default()
}

fn syslog(line: &str) -> Result<Parts, &'static str> {
    let mut at = Cursor { line, at: 0 };
    let mut parts = Parts::default();
    if at.eat("<") {
        parts.level = at.until(">").ok_or("its priority has no end")?;
    }
    let month = at.word().ok_or("it has no month")?;
    let day = at.word().ok_or("it has no day")?;
    parts.date = month.to(day);
    parts.time = at.word().ok_or("it has no time")?;
    parts.host = at.word().ok_or("it has no host")?;
    at.skip_spaces();
    if let Some(mut tag) = at.tag() {
        let text = tag.of(line);
        if let Some((name, pid)) = text.strip_suffix(']').and_then(|tag| tag.rsplit_once('[')) {
            parts.pid = part(line, pid);
            tag = part(line, name);
        }
        parts.component = tag;
    }
    parts.content = at.rest();
    Ok(parts)
}

fn apache(line: &str) -> Result<Parts, &'static str> {
    let mut at = Cursor { line, at: 0 };
    let mut parts = Parts::default();
    at.eat("[");
    parts.date = at.until("]").ok_or("its time has no `]`")?;
    at.skip_spaces();
    if !at.eat("[") {
        return Err("it has no `[level]`");
    }
    parts.level = at.until("]").ok_or("its level has no `]`")?;
    if let Some((module, level)) = parts.level.of(line).split_once(':') {
        parts.component = part(line, module);
        parts.level = part(line, level);
    }
    at.skip_spaces();
    if at.eat("[pid ") {
        let pid = at.until("]").ok_or("its pid has no `]`")?;
        let number = pid.of(line).split(':').next().unwrap_or_default();
        parts.pid = part(line, number);
    }
    parts.content = at.rest();
    Ok(parts)
}

fn hdfs(line: &str) -> Result<Parts, &'static str> {
    let mut at = Cursor { line, at: 0 };
    Ok(Parts {
        date: at.word().ok_or("it has no day")?,
        time: at.word().ok_or("it has no time")?,
        pid: at.word().ok_or("it has no thread")?,
        level: at.word().ok_or("it has no level")?,
        component: {
            at.skip_spaces();
            at.tag().ok_or("its class has no `: `")?
        },
        content: at.rest(),
        ..Parts::default()
    })
}

fn zookeeper(line: &str) -> Result<Parts, &'static str> {
    let mut at = Cursor { line, at: 0 };
    let mut parts = Parts {
        date: at.word().ok_or("it has no day")?,
        time: at.word().ok_or("it has no time")?,
        ..Parts::default()
    };
    at.skip_spaces();
    if !at.eat("- ") {
        return Err("it has no ` - ` behind its time");
    }
    parts.level = at.word().ok_or("it has no level")?;
    at.skip_spaces();
    if !at.eat("[") {
        return Err("it has no `[node:class@line]`");
    }
    let place = at.until("] - ").ok_or("its place has no `] - `")?;
    let text = place.of(line);
    let (node, class) = text.split_once(':').ok_or("its place has no `:`")?;
    let (class, number) = class.rsplit_once('@').ok_or("its place has no `@`")?;
    parts.node = part(line, node);
    parts.component = part(line, class);
    parts.place = part(line, number);
    parts.content = at.rest();
    Ok(parts)
}

fn openstack(line: &str) -> Result<Parts, &'static str> {
    let mut at = Cursor { line, at: 0 };
    let mut parts = Parts::default();
    if !is_day(line) {
        parts.file = at.word().ok_or("it has no day")?;
    }
    parts.date = at.word().ok_or("it has no day")?;
    parts.time = at.word().ok_or("it has no time")?;
    parts.pid = at.word().ok_or("it has no process")?;
    parts.level = at.word().ok_or("it has no level")?;
    parts.component = at.word().ok_or("it has no logger")?;
    at.skip_spaces();
    if at.eat("[") {
        parts.context = at.until("]").ok_or("its request has no `]`")?;
    }
    parts.content = at.rest();
    Ok(parts)
}

/// A place in a line, which only moves on.
struct Cursor<'l> {
    line: &'l str,
    at: usize,
}

impl Cursor<'_> {
    fn left(&self) -> &str {
        &self.line[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at += self.left().len() - self.left().trim_start_matches(' ').len();
    }

    /// Takes this, if it comes next.
    fn eat(&mut self, what: &str) -> bool {
        let comes = self.left().starts_with(what);
        self.at += if comes { what.len() } else { 0 };
        comes
    }

    /// Up to the next space; nothing at the end of the line.
    fn word(&mut self) -> Option<Span> {
        self.skip_spaces();
        let left = self.left();
        let length = left.find(' ').unwrap_or(left.len());
        let from = self.at;
        self.at += length;
        (length > 0).then(|| Span::new(from..from + length))
    }

    /// Up to this, which is taken too.
    fn until(&mut self, end: &str) -> Option<Span> {
        let length = memmem::find(self.left().as_bytes(), end.as_bytes())?;
        let from = self.at;
        self.at += length + end.len();
        Some(Span::new(from..from + length))
    }

    /// Up to the first colon with a space or nothing behind it, which is taken too.
    fn tag(&mut self) -> Option<Span> {
        let left = self.left();
        let length = match memmem::find(left.as_bytes(), b": ") {
            Some(length) => length,
            None => left.trim_end().strip_suffix(':')?.len(),
        };
        let from = self.at;
        self.at += length + 1;
        Some(Span::new(from..from + length))
    }

    /// All that is left, without spaces around it.
    fn rest(self) -> Span {
        let left = &self.line[self.at..];
        let text = left.trim();
        let from = self.at + (left.len() - left.trim_start().len());
        Span::new(from..from + text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format of a line and what its fields say, `time|level|host|component|pid|content`.
    fn check(line: &str, format: Format, expect: &str) {
        let (found, parts) = recognise(line).expect(line);
        let fields = [
            parts.time,
            parts.level,
            parts.host,
            parts.component,
            parts.pid,
            parts.content,
        ];
        let text = fields.map(|span| span.of(line)).join("|");
        assert_eq!((found, text.as_str()), (format, expect), "{line}");
    }

    #[test]
    fn newer_variants_of_the_formats_are_known() {
        check(
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            Format::Syslog,
            "22:14:15|34|mymachine|su||'su root' failed",
        );
        check(
            "Jul  1 00:00:00 host last message repeated 2 times",
            Format::Syslog,
            "00:00:00||host|||last message repeated 2 times",
        );
        check(
            "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] File does not exist",
            Format::Apache,
            "|error||core|35708|File does not exist",
        );
        check(
            "2017-05-16 00:00:00.008 25746 INFO nova.compute started",
            Format::OpenStack,
            "00:00:00.008|INFO||nova.compute|25746|started",
        );
    }

    #[test]
    fn lines_that_only_begin_like_a_format_are_refused_with_the_reason() {
        let refused = |line: &str, expect: &str| {
            let reason = recognise(line).expect_err(line);
            assert!(reason.to_string().contains(expect), "{reason}");
        };
        refused("hello", "none of the known formats: `hello`");
        refused("1", "none of the known formats");
        refused("[1, 2]", "no `[level]`");
        refused("[Sun", "its time has no `]`");
        refused("Jun 14", "it has no time");
        refused("Jun 14 15:16:01 ", "it has no host");
        refused("081109 203615 148 INFO", "its class has no `: `");
        refused("2015-07-29 17:41:44,747 INFO", "no ` - `");
        refused("2015-07-29 17:41:44,747 - INFO [a] - b", "has no `:`");
        refused("2017-05-16 00:00:00.008 25746", "it has no level");
        refused(&"é".repeat(100), "é..`");
    }
}
