//! Brings the fields of all formats into one form: a time, a severity, a fingerprint.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    time::{SystemTime, UNIX_EPOCH},
};

use foldhash::quality::FixedState;
use pipewright::stage;

use super::{
    env::Env,
    reject::{Reason, Reject},
    stamp,
    types::{Event, Format, Record, Severity},
};

/// Reads time and severity. Formats that do not write the year have that of the environment; all times without a zone are UTC.
#[stage]
pub fn normalise(record: Record, env: &Env) -> Result<Event, Reject> {
    match read(&record, env.year) {
        Ok((at_ms, severity)) => Ok(event(record, at_ms, severity)),
        Err(reason) => Err(Reject::new(record.origin, reason)),
    }
}

fn read(record: &Record, year: i16) -> Result<(i64, Severity), Reason> {
    let (text, parts) = (&*record.text, &record.parts);
    let severity = severity(parts.level.of(text)).ok_or(Reason::Malformed {
        format: record.format.name(),
        detail: "its severity is none of debug, info, warning, error and critical",
    })?;
    let date = parts.date.of(text);
    if record.format == Format::Json && date.is_empty() {
        return Ok((now_ms(), severity));
    }
    let time = parts.time.of(text);
    let at_ms = stamp::read(record.format, date, time, year);
    let at_ms = at_ms.ok_or_else(|| Reason::BadTime(format!("{date} {time}").trim().to_owned()))?;
    Ok((at_ms, severity))
}

fn event(record: Record, at_ms: i64, severity: Severity) -> Event {
    let fingerprint = fingerprint(&record);
    let pid = record.parts.pid.of(&record.text).parse().ok();
    Event {
        origin: record.origin,
        format: record.format,
        kind: record.kind,
        severity,
        at_ms,
        fingerprint,
        pid,
        peer: None,
        text: record.text,
        parts: record.parts,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// Equal for events that say the same, or that have the same `id`.
fn fingerprint(record: &Record) -> u64 {
    let (text, parts) = (&*record.text, &record.parts);
    let mut hasher = FixedState::default().build_hasher();
    record.kind.hash(&mut hasher);
    let id = parts.id.of(text);
    if !id.is_empty() {
        id.hash(&mut hasher);
        return hasher.finish();
    }
    for part in [
        parts.host,
        parts.component,
        parts.pid,
        parts.node,
        parts.context,
        parts.data,
        parts.content,
    ] {
        part.of(text).hash(&mut hasher);
    }
    hasher.finish()
}

/// What a word says about how much a line matters; a number is the priority of syslog (RFC 3164), nothing is `info`.
fn severity(word: &str) -> Option<Severity> {
    const WORDS: [(&str, Severity); 18] = [
        ("", Severity::Info),
        ("info", Severity::Info),
        ("notice", Severity::Info),
        ("warn", Severity::Warning),
        ("warning", Severity::Warning),
        ("err", Severity::Error),
        ("error", Severity::Error),
        ("severe", Severity::Error),
        ("debug", Severity::Debug),
        ("trace", Severity::Debug),
        ("crit", Severity::Critical),
        ("critical", Severity::Critical),
        ("fatal", Severity::Critical),
        ("alert", Severity::Critical),
        ("emerg", Severity::Critical),
        ("audit", Severity::Info),
        ("verbose", Severity::Debug),
        ("fine", Severity::Debug),
    ];
    if let Ok(priority) = word.parse::<u8>() {
        return Some(match priority % 8 {
            0..=2 => Severity::Critical,
            3 => Severity::Error,
            4 => Severity::Warning,
            5 | 6 => Severity::Info,
            _ => Severity::Debug,
        });
    }
    // Apache counts its traces: `trace1` to `trace8`.
    let word = word.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let found = WORDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, severity)| *severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_formats_have_a_severity() {
        let check = |word: &str, expect| assert_eq!(severity(word), expect, "{word}");
        check("", Some(Severity::Info));
        check("INFO", Some(Severity::Info));
        check("notice", Some(Severity::Info));
        check("WARN", Some(Severity::Warning));
        check("error", Some(Severity::Error));
        check("FATAL", Some(Severity::Critical));
        check("trace4", Some(Severity::Debug));
        check("34", Some(Severity::Critical));
        check("14", Some(Severity::Info));
        check("loud", None);
    }
}
