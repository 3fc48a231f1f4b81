//! Puts imported stages into the text of the module that imports them, so that one reading sees the whole
//! pipeline, and leads problems in them back to the files that they are from.

use std::{ops::Range, path::PathBuf};

use pipewright_spec::report::Source;

use super::Import;

/// A text with the stages of other files in it.
#[derive(Debug)]
pub(crate) struct Splice {
    source: Source,
    parts: Vec<Part>,
}

/// Lines that are from another file.
#[derive(Debug)]
struct Part {
    lines: Range<usize>,
    path: PathBuf,
    /// The line that the first one is in its own file.
    first: usize,
}

impl Splice {
    /// Puts `imports` in front of byte `end`. The lines before that stay as they are.
    pub(crate) fn new(source: &Source, end: usize, imports: &[Import]) -> Splice {
        let mut text = source.text[..end].to_owned();
        let mut parts = Vec::new();
        for import in imports {
            text.push('\n');
            let line = text.matches('\n').count() + 1;
            let lines = line..line + import.text.lines().count();
            parts.push(Part {
                lines,
                path: import.path.clone(),
                first: import.line,
            });
            text.push_str(&import.text);
        }
        text.push('\n');
        text.push_str(&source.text[end..]);
        Splice {
            source: Source::new(source.path.as_str(), text),
            parts,
        }
    }

    /// The text.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The same rendered problem, with the file and the lines that its places really have.
    pub(crate) fn relocate(&self, problem: &str) -> String {
        match self.location(problem) {
            Some((part, line, column)) => part.rewrite(problem, line, column),
            None => problem.to_owned(),
        }
    }

    /// The part that a problem stands in, with line and column: ` --> path:line:column`.
    fn location<'p>(&self, problem: &'p str) -> Option<(&Part, usize, &'p str)> {
        let place = problem
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("--> "))?;
        let (line, column) = place
            .strip_prefix(self.source.path.as_str())?
            .strip_prefix(':')?
            .split_once(':')?;
        let line = line.parse().ok()?;
        let part = self.parts.iter().find(|part| part.lines.contains(&line))?;
        Some((part, line, column))
    }
}

impl Part {
    fn real(&self, line: usize) -> usize {
        self.first + line - self.lines.start
    }

    /// Writes the location and the numbers in the margin anew.
    fn rewrite(&self, problem: &str, line: usize, column: &str) -> String {
        let margin = problem.find("--> ").map_or(0, |arrow| {
            arrow - problem[..arrow].rfind('\n').map_or(0, |at| at + 1)
        });
        let width = self.real(self.lines.end).to_string().len();
        let mut lines = problem.lines();
        let mut text = lines.next().unwrap_or_default().to_owned();
        for old in lines {
            text.push('\n');
            let (number, rest) = old.split_at_checked(margin).unwrap_or((old, ""));
            if rest.starts_with("--> ") {
                text.push_str(&format!(
                    "{:width$}--> {}:{}:{column}",
                    "",
                    self.path.display(),
                    self.real(line)
                ));
            } else if let Ok(number) = number.trim().parse::<usize>() {
                text.push_str(&format!(
                    "{:<width$}{rest}",
                    self.real(number.max(self.lines.start))
                ));
            } else if number.trim().is_empty() {
                text.push_str(&format!("{:width$}{rest}", ""));
            } else {
                text.push_str(old);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use pipewright_spec::report::Problem;

    use super::*;

    fn import(line: usize, text: &str) -> Import {
        let function = syn::parse_str("fn parse() {}").unwrap();
        Import {
            path: "src/stages.rs".into(),
            line,
            text: text.to_owned(),
            function,
            name: "parse".to_owned(),
        }
    }

    #[test]
    fn a_problem_in_an_imported_stage_stands_in_its_own_file() {
        let source = Source::new("src/flow.rs", "mod orders {\n}\nmod other {}\n");
        let imports = [
            import(7, "#[stage]\nfn a() {}"),
            import(120, "#[stage(order = up)]\nfn b() {}"),
        ];
        let splice = Splice::new(&source, 13, &imports);
        let text = &splice.source().text;
        assert_eq!(
            text,
            "mod orders {\n\n#[stage]\nfn a() {}\n#[stage(order = up)]\nfn b() {}\n}\nmod other {}\n"
        );
        let at = |word: &str| text.find(word).map(|at| at..at + word.len()).unwrap();
        let problem = Problem::new("E_TEST", "wrong", at("up"))
            .help("write `keep`")
            .render(splice.source());
        assert_eq!(
            splice.relocate(&problem),
            "error[E_TEST]: wrong\n   --> src/stages.rs:120:17\n    |\n120 | #[stage(order = up)]\n    |                 ^^\n    |\n    = help: write `keep`"
        );
        let problem = Problem::new("E_TEST", "wrong", at("orders")).render(splice.source());
        assert_eq!(splice.relocate(&problem), problem);
    }
}
