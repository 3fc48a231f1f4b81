//! Problems: what is wrong, where, and what to type instead.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::units::{is_hidden, visible};

/// A range of bytes of a text.
pub type Span = Range<usize>;

/// At most so many problems are shown; the rest are counted.
pub const MAX_SHOWN: usize = 12;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem<P> {
    /// A code that stays the same when the words change: `E_CYCLE`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where it is.
    pub place: P,
    /// What stands there, beside the underline.
    pub label: Option<String>,
    /// What to type instead.
    pub help: Vec<String>,
    /// Other places that have to do with it.
    pub related: Vec<(P, String)>,
}

/// A text in which all characters are seen: names in it are as somebody wrote them.
fn seen(text: String) -> String {
    match text.chars().any(is_hidden) {
        true => text.chars().flat_map(visible).collect(),
        false => text,
    }
}

impl<P> Problem<P> {
    /// A problem without help. Characters of the message that are not seen, or change how others are shown, are written out.
    pub fn new(code: &'static str, message: impl Into<String>, place: P) -> Self {
        Self {
            code,
            message: seen(message.into()),
            place,
            label: None,
            help: Vec::new(),
            related: Vec::new(),
        }
    }

    /// Adds a line that says what to type.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(seen(help.into()));
        self
    }

    /// Says what stands at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place that has to do with it.
    #[must_use]
    pub fn related(mut self, place: P, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    /// A key that is given twice in one list.
    pub fn twice(name: &str, second: P, first: P) -> Self {
        Self::new(
            "E_DUPLICATE_KEY",
            format!("`{name}` is given twice"),
            second,
        )
        .help("keep one")
        .related(first, "first given here")
    }

    /// The same problem at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Problem<Q> {
        Problem {
            code: self.code,
            message: self.message,
            place: f(self.place),
            label: self.label,
            help: self.help,
            related: self
                .related
                .into_iter()
                .map(|(place, label)| (f(place), label))
                .collect(),
        }
    }
}

impl<P> fmt::Display for Problem<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help
            .iter()
            .try_for_each(|help| write!(f, "\nhelp: {help}"))
    }
}

/// Everything that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "problems are to be shown"]
pub struct Problems<P> {
    list: Vec<Problem<P>>,
    /// How many more there were than are kept.
    more: usize,
}

/// At most so many problems are kept; the rest are counted.
const MAX_KEPT: usize = 1000;

impl<P> Problems<P> {
    /// None so far.
    pub const fn new() -> Self {
        Self {
            list: Vec::new(),
            more: 0,
        }
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem<P>) {
        if self.list.len() < MAX_KEPT {
            self.list.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Adds the problems of another list.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Problem<P>>) {
        others.into_iter().for_each(|problem| self.push(problem));
    }

    /// Is nothing wrong?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// The problems in the order they were found in.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem<P>> {
        self.list.iter()
    }

    /// `value` if nothing is wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// The same problems at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Problems<Q> {
        Problems {
            list: self
                .list
                .into_iter()
                .map(|problem| problem.map_place(f))
                .collect(),
            more: self.more,
        }
    }
}

impl<P> Default for Problems<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> From<Problem<P>> for Problems<P> {
    fn from(problem: Problem<P>) -> Self {
        Self {
            list: vec![problem],
            more: 0,
        }
    }
}

impl<P> IntoIterator for Problems<P> {
    type Item = Problem<P>;
    type IntoIter = std::vec::IntoIter<Problem<P>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a, P> IntoIterator for &'a Problems<P> {
    type Item = &'a Problem<P>;
    type IntoIter = std::slice::Iter<'a, Problem<P>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// The messages without their places; see [`Problems::render`] for a text with snippets.
impl<P> fmt::Display for Problems<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.list.iter().take(MAX_SHOWN).enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        match self.len().checked_sub(MAX_SHOWN) {
            Some(rest @ 1..) => write!(f, "\nand {rest} more"),
            _ => Ok(()),
        }
    }
}

impl<P: fmt::Debug> std::error::Error for Problems<P> {}

/// A text with the path that it is shown under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path, as it is shown.
    pub path: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// A text with the path that it is shown under.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor_char(&self.text, byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// `path:line:col` of a place.
    pub fn locate(&self, place: &Span) -> String {
        let (line, column) = self.position(place.start);
        format!("{}:{line}:{column}", self.path)
    }
}

/// The start of the character that `byte` is in, or the end of the text.
pub(crate) fn floor_char(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}

impl Problem<Span> {
    /// The problem as a compiler would show it, with the line of the source.
    pub fn render(&self, source: &Source) -> String {
        let shown = Shown::of(self, &source.text);
        let snippet = Snippet::source(shown.text)
            .path(source.path.as_str())
            .line_start(shown.first_line)
            .annotation(
                AnnotationKind::Primary
                    .span(shown.span(&self.place))
                    .label(self.label.as_deref()),
            )
            .annotations(self.related.iter().map(|(place, label)| {
                AnnotationKind::Context
                    .span(shown.span(place))
                    .label(label.as_str())
            }));
        let helps = self
            .help
            .iter()
            .map(|help| Level::HELP.message(help.as_str()));
        let report: Group<'_> = Level::ERROR
            .primary_title(self.message.as_str())
            .id(self.code)
            .element(snippet)
            .elements(helps);
        Renderer::plain().render(&[report])
    }
}

/// So many bytes of what is wrong, and so many behind it, are looked at: the renderer shows 140 columns.
const MAX_WIDTH: usize = 1000;

/// The lines that a problem shows.
///
/// The renderer works on the whole of its source, so it gets just the lines that have to do with the
/// problem: a hostile file can be a megabyte, and hold hundreds of problems.
struct Shown<'a> {
    text: &'a str,
    offset: usize,
    first_line: usize,
}

impl<'a> Shown<'a> {
    fn of(problem: &Problem<Span>, text: &'a str) -> Self {
        let cut = |place: &Span| place.start..place.end.min(place.start.saturating_add(MAX_WIDTH));
        let places = || {
            let related = problem.related.iter().map(|(place, _)| place);
            std::iter::once(&problem.place).chain(related).map(cut)
        };
        let first = floor_char(text, places().map(|place| place.start).min().unwrap_or(0));
        let last = floor_char(text, places().map(|place| place.end).max().unwrap_or(0)).max(first);
        let offset = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[last..]
            .find('\n')
            .map_or(text.len(), |newline| last + newline);
        // The renderer shows a part of a long line, and takes its time with all of it.
        let end = end.min(floor_char(text, last + MAX_WIDTH));
        let first_line = text[..offset].bytes().filter(|b| *b == b'\n').count() + 1;
        Self {
            text: &text[offset..end],
            offset,
            first_line,
        }
    }

    /// A place in the shown lines, on character boundaries.
    fn span(&self, place: &Span) -> Span {
        let start = floor_char(self.text, place.start.saturating_sub(self.offset));
        let end = floor_char(self.text, place.end.saturating_sub(self.offset)).max(start);
        start..end
    }
}

impl Problems<Span> {
    /// Puts the problems in the order of the text.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| problem.place.start);
    }

    /// The problems as a compiler would show them, at most [`MAX_SHOWN`] and the number of the rest.
    pub fn render(&self, source: &Source) -> String {
        let mut shown: Vec<String> = self
            .list
            .iter()
            .take(MAX_SHOWN)
            .map(|problem| problem.render(source))
            .collect();
        if self.len() > MAX_SHOWN {
            shown.push(format!("and {} more", self.len() - MAX_SHOWN));
        }
        shown.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_places_outside_of_the_text_are_moved_into_it() {
        let source = Source::new("t.ron", "(é,\n  äö: 1)\n");
        let position = |byte| source.position(byte);
        assert_eq!(
            [position(0), position(1), position(3), position(4)],
            [(1, 1), (1, 2), (1, 3), (1, 4)]
        );
        assert_eq!(
            [position(2), position(7), position(9), position(10)],
            [(1, 2), (2, 3), (2, 4), (2, 4)]
        );
        assert_eq!([position(99), position(usize::MAX)], [(3, 1), (3, 1)]);
        assert_eq!(source.locate(&(9..11)), "t.ron:2:4");
    }

    #[test]
    fn any_place_can_be_shown() {
        let source = Source::new("t.ron", "(é,\n  äö: 1)\n");
        for start in 0..20 {
            for end in [0, start, start + 1, start + 7, usize::MAX] {
                let problem = Problem::new("E_TEST", "a test", start..end).label("here");
                let text = problem
                    .related(end..start, "and there")
                    .help("nothing")
                    .render(&source);
                assert!(text.starts_with("error[E_TEST]: a test\n"), "{text}");
            }
        }
        let empty = Source::new("t.ron", "");
        assert!(
            Problem::new("E_TEST", "a test", 0..0)
                .render(&empty)
                .contains("t.ron:1:1")
        );
    }

    #[test]
    fn without_a_text_the_messages_and_the_help_are_shown() {
        let mut problems = Problems::new();
        problems.push(Problem::new("E_ONE", "one is wrong", ()).help("write two"));
        problems.extend(Problems::from(Problem::new("E_TWO", "two is wrong", ())));
        assert_eq!(
            problems.to_string(),
            "one is wrong\nhelp: write two\ntwo is wrong"
        );
        problems.extend((0..2_000).map(|n| Problem::new("E_MANY", n.to_string(), ())));
        assert_eq!((problems.len(), problems.iter().count()), (2_002, 1_000));
        assert!(problems.to_string().ends_with("9\nand 1990 more"));
        assert!(problems.into_result(1).is_err());
    }
}
