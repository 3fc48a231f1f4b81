//! `list` and `show`.

use std::time::SystemTime;

use clap::ValueEnum;
use pipewright::dead_letters::{Payload, Record};

use super::{Letter, Letters};
use crate::{Outcome, say};

/// The most of an error that `list` prints, in characters.
const SHORT: usize = 60;
/// Bytes a line of a dump.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Json,
    Utf8,
    Hex,
}

pub(super) fn list(letters: &Letters) -> Outcome {
    let stages = letters
        .letters
        .iter()
        .map(|letter| width(&letter.record.stage));
    let classes = letters
        .letters
        .iter()
        .map(|letter| width(&letter.record.class));
    let (stage, class) = (
        stages.max().unwrap_or(0).max(5),
        classes.max().unwrap_or(0).max(5),
    );
    let mut text = format!(
        "{:>6}  {:20}  {:stage$}  {:class$}  {:>5}  error\n",
        "number", "time", "stage", "class", "tries"
    );
    for letter in &letters.letters {
        let record = &letter.record;
        text.push_str(&format!(
            "{:>6}  {:20}  {:stage$}  {:class$}  {:>5}  {}{}\n",
            record.number,
            time(record.time, 0),
            shown(&record.stage),
            shown(&record.class),
            record.attempts,
            short(&record.error),
            if letters.is_marked(letter) {
                "  (replayed)"
            } else {
                ""
            },
        ));
    }
    let marked = letters
        .letters
        .iter()
        .filter(|letter| letters.is_marked(letter))
        .count();
    text.push_str(&format!(
        "{}, {marked} replayed\n",
        crate::check::count(letters.letters.len(), "letter")
    ));
    say::text(&text)?;
    Ok(letters.tell_damage())
}

fn width(text: &str) -> usize {
    shown(text).chars().count()
}

/// A time in UTC, with so many digits of its fraction.
fn time(time: SystemTime, digits: usize) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.digits$}"),
        Err(_) => "beyond the year 9999".to_owned(),
    }
}

/// A text from a file, without anything that a terminal would obey.
fn shown(text: &str) -> String {
    let clean = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(clean).collect()
}

/// The first line of an error, or its beginning.
fn short(error: &str) -> String {
    let line = shown(error.lines().next().unwrap_or_default());
    match line.chars().count() > SHORT || error.lines().nth(1).is_some() {
        true => line.chars().take(SHORT).chain(['…']).collect(),
        false => line,
    }
}

pub(super) fn show(letters: &Letters, number: u64, form: Option<Form>) -> Outcome {
    let found: Vec<&Letter> = letters
        .letters
        .iter()
        .filter(|letter| letter.record.number == number)
        .collect();
    let letter = match found[..] {
        [letter] => letter,
        [] => {
            letters.tell_damage();
            return Err(format!(
                "there is no letter {number}; `list` prints the numbers"
            ));
        }
        _ => {
            return Err(format!(
                "several of the folders have a letter {number}; name one folder"
            ));
        }
    };
    let record = &letter.record;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:9} {value}\n"));
    line("number", &record.number.to_string());
    line("time", &time(record.time, 6));
    line("stage", &shown(&record.stage));
    line("class", &shown(&record.class));
    line("attempts", &record.attempts.to_string());
    line("origin", &origin(record));
    line(
        "replayed",
        if letters.is_marked(letter) {
            "yes"
        } else {
            "no"
        },
    );
    line("error", &indented(&record.error));
    let item = item(&record.payload, form)?;
    line("item", &item);
    say::text(&text)?;
    Ok(letters.tell_damage())
}

fn origin(record: &Record) -> String {
    match &record.origin {
        Some(origin) => {
            let index = origin.index.map(|index| format!(", item {index}"));
            let (source, index) = (shown(&origin.source), index.unwrap_or_default());
            format!("{source}, batch {}{index}", origin.batch)
        }
        None => "not known".to_owned(),
    }
}

/// All lines of a text, those after the first below it.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(shown).collect();
    lines.join(&format!("\n{:9} ", ""))
}

fn item(payload: &Payload, form: Option<Form>) -> Result<String, String> {
    let bytes = match payload {
        Payload::Json(bytes) | Payload::Bytes(bytes) => bytes,
        Payload::Digest { sha256, len } => {
            let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(format!("not kept; {len} bytes, SHA-256 {hex}"));
        }
        Payload::Failed(why) => {
            return Ok(format!(
                "not kept, because it could not be JSON: {}",
                shown(why)
            ));
        }
        _ => return Ok("not kept".to_owned()),
    };
    let json = || serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let text = || std::str::from_utf8(bytes).ok();
    let is_json = matches!(payload, Payload::Json(_));
    match form {
        Some(Form::Hex) => Ok(hex(bytes)),
        Some(Form::Utf8) => text()
            .map(indented)
            .ok_or_else(|| "the item is not UTF-8; `--item hex` prints it".to_owned()),
        Some(Form::Json) => json()
            .map(|json| pretty(&json))
            .ok_or_else(|| "the item is not JSON; `--item hex` prints it".to_owned()),
        None => Ok(match (json().filter(|_| is_json), text()) {
            (Some(json), _) => pretty(&json),
            (None, Some(text)) if !text.chars().any(|c| c.is_control() && !"\n\t".contains(c)) => {
                indented(text)
            }
            _ => hex(bytes),
        }),
    }
}

fn pretty(json: &serde_json::Value) -> String {
    indented(&format!("{json:#}"))
}

/// `00000000  66 6f 6f  foo`, below each other.
fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes
        .chunks(LINE)
        .enumerate()
        .map(|(at, line)| {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let ascii = |byte: &u8| {
                if (32..127).contains(byte) {
                    char::from(*byte)
                } else {
                    '.'
                }
            };
            let text: String = line.iter().map(ascii).collect();
            format!("{:08x}  {:47}  {text}", at * LINE, hex.join(" "))
        })
        .collect();
    lines.join(&format!("\n{:9} ", ""))
}
