//! Collects every problem of one expansion and turns them into `compile_error!`s.
//!
//! A message is lower case and says what is wrong; `help:` lines say what to type. Problems of a RON file are
//! rendered with a snippet of the file and stand on the path literal, because no span leads into another file.

use pipewright_spec::report::{MAX_SHOWN, Problem, Problems, Source};
use proc_macro2::{Span, TokenStream};

use crate::place::Place;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<Problem<Place>>,
}

/// A problem that was just reported, to which help can be added.
pub(crate) struct Reported<'e>(&'e mut Problem<Place>);

impl Errors {
    /// No problems yet.
    pub(crate) fn new() -> Errors {
        Errors::default()
    }

    /// Reports a problem at a token.
    pub(crate) fn at(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
    ) -> Reported<'_> {
        self.add(Problem::new(code, message, Place::Rust(span)))
    }

    /// Reports a problem at any place.
    pub(crate) fn place(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
    ) -> Reported<'_> {
        self.add(Problem::new(code, message, place.clone()))
    }

    /// Takes over one problem.
    pub(crate) fn push(&mut self, problem: Problem<Place>) {
        self.found.push(problem);
    }

    /// Reports what `syn` could not read, in its words.
    pub(crate) fn syntax(&mut self, error: syn::Error) {
        for error in error {
            self.at("E_SYNTAX", error.span(), error.to_string());
        }
    }

    /// Takes over problems that the spec found.
    pub(crate) fn extend(&mut self, problems: Problems<Place>) {
        self.found.extend(problems);
    }

    /// Takes over problems of the RON file.
    pub(crate) fn extend_ron(&mut self, problems: Problems<std::ops::Range<usize>>) {
        self.extend(problems.map_place(&mut Place::Ron));
    }

    /// How many problems there are.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// `true` if there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems themselves.
    pub(crate) fn into_problems(self) -> Vec<Problem<Place>> {
        self.found
    }

    /// One `compile_error!` for each problem. `file` is the RON file and the literal that names it.
    pub(crate) fn into_tokens(self, file: Option<(&Source, Span)>) -> TokenStream {
        let more = self.found.len().saturating_sub(MAX_SHOWN);
        let mut last = Span::call_site();
        let mut tokens = TokenStream::new();
        for problem in self.found.iter().take(MAX_SHOWN) {
            let (span, text) = told(problem, file);
            last = span;
            tokens.extend(syn::Error::new(span, text).to_compile_error());
        }
        if more > 0 {
            let text = format!(
                "and {more} more {}",
                if more == 1 { "problem" } else { "problems" }
            );
            tokens.extend(syn::Error::new(last, text).to_compile_error());
        }
        tokens
    }

    fn add(&mut self, problem: Problem<Place>) -> Reported<'_> {
        let at = self.found.len();
        self.found.push(problem);
        Reported(&mut self.found[at])
    }
}

impl Reported<'_> {
    /// Adds a line that says what to type.
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        self.0.help.push(text.into());
        self
    }
}

/// Where a problem is shown, and the whole text.
fn told(problem: &Problem<Place>, file: Option<(&Source, Span)>) -> (Span, String) {
    match (&problem.place, file) {
        (Place::Ron(range), Some((source, literal))) => {
            (literal, in_file(problem, range.clone(), source))
        }
        (place, _) => (
            place.span().unwrap_or_else(Span::call_site),
            in_rust(problem, file.map(|f| f.0)),
        ),
    }
}

/// The message, with places of the RON file that have to do with it, and the help.
fn in_rust(problem: &Problem<Place>, source: Option<&Source>) -> String {
    let mut text = problem.message.clone();
    for (place, note) in &problem.related {
        if let (Place::Ron(range), Some(source)) = (place, source) {
            text.push_str(&format!("\nnote: {note}: {}", source.locate(range)));
        }
    }
    for help in &problem.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    text
}

/// The message with a snippet of the RON file.
fn in_file(problem: &Problem<Place>, range: std::ops::Range<usize>, source: &Source) -> String {
    let related = problem
        .related
        .iter()
        .filter_map(|(place, note)| match place {
            Place::Ron(range) => Some((range.clone(), note.clone())),
            Place::Rust(_) => None,
        });
    let inside = Problem {
        code: problem.code,
        message: problem.message.clone(),
        place: range,
        label: problem.label.clone(),
        help: problem.help.clone(),
        related: related.collect(),
    };
    let text = inside.render(source);
    // The compiler writes `error: ` itself.
    let title = text.find(&problem.message).unwrap_or(0);
    text[title..].to_owned()
}
