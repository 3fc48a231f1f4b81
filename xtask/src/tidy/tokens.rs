//! Rules about Rust code. They read tokens, so what stands in strings and comments is no code.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use super::{
    Finding,
    files::File,
    rules::{MAX_FUNCTION, UNFINISHED_MACROS, UNSAFE_MODULES},
};

/// Checks the code of a file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut rules = Rules {
        file,
        findings: Vec::new(),
        test: false,
    };
    match file.text.parse::<TokenStream>() {
        Ok(tokens) => rules.tokens(tokens),
        // Cases of syntax errors are no Rust.
        Err(_) if file.is_test_data() => {}
        Err(error) => rules.add(error.span().start().line, "this is not Rust"),
    }
    rules.findings
}

struct Rules<'f> {
    file: &'f File,
    findings: Vec<Finding>,
    /// Is the next function a test? Tests are tables of data, which may be long.
    test: bool,
}

impl Rules<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let rest = &tokens[at + 1..];
            match token {
                TokenTree::Ident(word) => self.word(word, rest),
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(rest),
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &Ident, rest: &[TokenTree]) {
        let line = word.span().start().line;
        if word == "fn" {
            self.function(line, rest);
        } else if word == "unsafe" {
            self.unsafe_code(line, rest);
        } else if is_punct(rest.first(), '!')
            && matches!(rest.get(1), Some(TokenTree::Group(_)))
            && let Some(word) = UNFINISHED_MACROS.iter().find(|name| word == *name)
        {
            self.add(line, format!("`{word}!`: finish it, or leave it out"));
        }
    }

    /// `rest` is what follows `fn`.
    fn function(&mut self, line: usize, rest: &[TokenTree]) {
        let Some(TokenTree::Ident(name)) = rest.first() else {
            return;
        };
        if std::mem::take(&mut self.test) {
            return;
        }
        let body = rest
            .iter()
            .take_while(|token| !is_punct(Some(token), ';'))
            .find_map(|token| match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
                _ => None,
            });
        let Some(body) = body else { return };
        let lines = body.span_close().end().line + 1 - line;
        if lines > MAX_FUNCTION {
            self.add(
                line,
                format!("`{name}` has {lines} lines; a function has at most {MAX_FUNCTION}"),
            );
        }
    }

    /// `rest` is what follows `unsafe`.
    fn unsafe_code(&mut self, line: usize, rest: &[TokenTree]) {
        if self.file.is_test_data() {
            return;
        }
        if !UNSAFE_MODULES.contains(&self.file.shown.as_str()) {
            self.add(
                line,
                "`unsafe` is for the modules that the rules of `cargo xtask tidy` name",
            );
        }
        let is_block = matches!(rest.first(), Some(TokenTree::Group(_)));
        let is_impl = matches!(rest.first(), Some(TokenTree::Ident(word)) if word == "impl");
        if (is_block || is_impl) && !self.is_argued(line) {
            self.add(line, "`unsafe` without a `SAFETY:` comment above it");
        }
    }

    /// Is there a comment in the lines of the same paragraph, up to the statement before?
    fn is_argued(&self, line: usize) -> bool {
        let lines: Vec<&str> = self.file.text.lines().take(line).map(str::trim).collect();
        let Some((this, above)) = lines.split_last() else {
            return false;
        };
        if this.contains("SAFETY:") {
            return true;
        }
        let of_statement = |text: &&&str| {
            let ends = text.ends_with(';') || text.ends_with('}') || text.is_empty();
            text.starts_with("//") || !ends
        };
        above
            .iter()
            .rev()
            .take_while(of_statement)
            .any(|text| text.starts_with("//") && text.contains("SAFETY:"))
    }

    /// `rest` is what follows `#`.
    fn attribute(&mut self, rest: &[TokenTree]) {
        let Some(TokenTree::Group(group)) = rest.first() else {
            return;
        };
        let line = group.span_open().start().line;
        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
        match inside.as_slice() {
            [TokenTree::Ident(word)] if word == "test" => return self.test = true,
            [TokenTree::Ident(word)] if word == "ignore" => {}
            [TokenTree::Ident(word), TokenTree::Group(list)]
                if word == "cfg_attr" && ignores(list.stream()) => {}
            _ => return,
        }
        self.add(
            line,
            "`#[ignore]` without a reason; write `#[ignore = \"..\"]`",
        );
    }

    fn add(&mut self, line: usize, message: impl Into<String>) {
        self.findings.push(Finding::new(self.file, line, message));
    }
}

/// Does `cfg_attr(.., ignore)` have no reason?
fn ignores(list: TokenStream) -> bool {
    let list: Vec<TokenTree> = list.into_iter().collect();
    let bare = |(at, token): (usize, &TokenTree)| {
        matches!(token, TokenTree::Ident(word) if word == "ignore")
            && !is_punct(list.get(at + 1), '=')
    };
    list.iter().enumerate().any(bare)
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}
