//! Texts that are not RON: where they break, and what is missing.

use ron::error::{Error, Position, SpannedError};

use super::tree::{self, Node};
use crate::report::{Problem, Problems, Source, Span};

/// A topology and a tuning file are at most so many bytes long.
pub const MAX_BYTES: usize = 1 << 20;

/// Outside of quotes, no word and no number is longer: `ron` reads each several times over.
const MAX_WORD: usize = 1000;

/// The tree of a text, or why it is none.
pub(super) fn read(source: &Source) -> Result<Node<'_>, Problems<Span>> {
    let text = source.text.as_str();
    if text.len() > MAX_BYTES {
        let message = format!(
            "this file has {} bytes, and at most 1 MiB is read",
            text.len()
        );
        return Err(Problem::new("E_FILE_SIZE", message, 0..0)
            .help("a pipeline fits in a few kilobytes")
            .into());
    }
    if text.starts_with('\u{feff}') {
        let problem = Problem::new("E_BOM", "this file starts with a byte order mark", 0..3);
        return Err(problem
            .help("save it as UTF-8 without a byte order mark")
            .into());
    }
    if let Some(place) = long_word(text) {
        let message = format!("this word has more than {MAX_WORD} characters");
        return Err(Problem::new("E_TOO_LONG", message, place)
            .help("the longest words of a pipeline are names, with at most 128")
            .into());
    }
    tree::parse(text).map_err(|error| problem(text, &error).into())
}

/// The first word that is too long.
fn long_word(text: &str) -> Option<Span> {
    let mut at = 0;
    let mut begun = 0;
    while let Some(c) = text[at..].chars().next() {
        let skipped = skip(&text[at..]);
        let in_word = skipped == 0 && (c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
        at += skipped.max(c.len_utf8());
        if !in_word {
            begun = at;
        } else if at - begun > MAX_WORD {
            return Some(begun..at);
        }
    }
    None
}

fn problem(text: &str, error: &SpannedError) -> Problem<Span> {
    let place = place(text, error);
    match &error.code {
        Error::ExceededRecursionLimit => {
            Problem::new("E_TOO_DEEP", "this is nested too deep", place)
                .help("a pipeline needs four levels")
        }
        Error::IntegerOutOfBounds => {
            Problem::new("E_RANGE", "this number is too big", place).help("write a smaller number")
        }
        Error::UnclosedBlockComment => {
            let begun = unclosed_comment(text).unwrap_or(place.start);
            Problem::new(
                "E_RON_SYNTAX",
                "this comment is not closed",
                begun..begun + 2,
            )
            .help("end it with `*/`; comments can be nested")
        }
        Error::ExpectedAttribute => Problem::new("E_RON_SYNTAX", sentence(&error.code), place)
            .help("a comment starts with `//`"),
        _ if text.trim().is_empty() => Problem::new("E_RON_SYNTAX", "this file is empty", place)
            .help("write `( stages: { \"name\": (from: \"other\"), }, )`"),
        code => {
            let problem = Problem::new("E_RON_SYNTAX", sentence(code), place);
            match code {
                Error::ExpectedStringEnd => problem,
                _ => unclosed(text, problem),
            }
        }
    }
}

/// In the style of this project: lower case, no full stop.
fn sentence(code: &Error) -> String {
    let text = code.to_string();
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// Where something is missing because a bracket is not closed, the bracket is shown too.
fn unclosed(text: &str, problem: Problem<Span>) -> Problem<Span> {
    let Some(Open {
        at,
        bracket,
        missed,
    }) = open_bracket(text)
    else {
        return problem;
    };
    let stopped = problem.place.start;
    if stopped != missed && stopped < text.trim_end().len() {
        return problem;
    }
    problem
        .help(format!("close the `{bracket}`"))
        .related(at..at + 1, "opened here and never closed")
}

/// The place of an error as bytes.
///
/// `ron` spans from where it began its last step to where it stopped. What it expected is missing where it
/// stopped; other errors are about what it read.
fn place(text: &str, error: &SpannedError) -> Span {
    let (start, end) = (byte(text, error.span.start), byte(text, error.span.end));
    let missing = matches!(error.code, Error::Eof | Error::TrailingCharacters)
        || (error.code != Error::ExpectedStringEnd
            && error.code.to_string().starts_with("Expected"));
    let lines = text.get(start..end).is_some_and(|part| part.contains('\n'));
    let start = if missing || (lines && error.code != Error::ExpectedStringEnd) {
        end
    } else {
        start
    };
    let width = text[start..]
        .chars()
        .next()
        .filter(|c| *c != '\n')
        .map_or(0, char::len_utf8);
    start..if missing || lines {
        start + width
    } else {
        end.max(start + width)
    }
}

fn byte(text: &str, position: Position) -> usize {
    let line_start = match position.line.checked_sub(2) {
        None => 0,
        Some(n) => text
            .match_indices('\n')
            .nth(n)
            .map_or(text.len(), |(at, _)| at + 1),
    };
    let column = position.col.saturating_sub(1);
    text[line_start..]
        .char_indices()
        .nth(column)
        .map_or(text.len(), |(at, _)| line_start + at)
}

/// A bracket that is opened and not closed.
struct Open {
    at: usize,
    bracket: char,
    /// Where it is missed: at a bracket that closes another, or at the end.
    missed: usize,
}

fn open_bracket(text: &str) -> Option<Open> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let skipped = skip(&text[at..]);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        match c {
            '(' | '[' | '{' => open.push((at, c)),
            ')' | ']' | '}' => {
                let (from, bracket) = open.pop()?;
                if !matches!((bracket, c), ('(', ')') | ('[', ']') | ('{', '}')) {
                    return Some(Open {
                        at: from,
                        bracket,
                        missed: at,
                    });
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    open.pop().map(|(at, bracket)| Open {
        at,
        bracket,
        missed: text.len(),
    })
}

/// Where a comment begins that does not end.
fn unclosed_comment(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += match text[at..].starts_with("/*") {
            true => match comment(&text[at..]) {
                Some(length) => length,
                None => return Some(at),
            },
            false => skip(&text[at..]).max(c.len_utf8()),
        };
    }
    None
}

/// The length of the comment that starts here, with those in it.
fn comment(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The length of the comment or string that starts here, or zero.
fn skip(text: &str) -> usize {
    let up_to = |end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    if text.starts_with("//") {
        return up_to("\n");
    }
    if text.starts_with("/*") {
        return comment(text).unwrap_or(text.len());
    }
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at + 2,
                _ => {}
            }
        }
        return text.len();
    }
    if text.starts_with('\'') && text[1..].chars().nth(1) == Some('\'') {
        return 2 + text[1..].chars().next().map_or(0, char::len_utf8);
    }
    0
}
