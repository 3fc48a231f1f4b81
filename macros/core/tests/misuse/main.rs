//! The macros on what they are not made for: they never panic, and say at which of the user's tokens it is wrong.
//!
//! `inputs.txt` has an input for each line; what is said about it stands below it, indented. `UPDATE_MISUSE=1 cargo test
//! -p pipewright-macros-core --test misuse` writes these lines anew; read what changed.

#[path = "../common/mod.rs"]
mod common;

mod random;

use std::{fs, path::PathBuf};

use common::expand;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// `column: message` of each error, where it is shown; `attribute` where no token of the item has to do with it.
fn told(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = None;
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => at = Some(word.span().start()),
            TokenTree::Group(group) if at.is_some() && group.delimiter() != Delimiter::None => {
                let text: syn::LitStr =
                    syn::parse2(group.stream()).expect("an error holds a string");
                let place = at.take().map(|place| (place.line, place.column + 1));
                let place = match place {
                    Some((1, 1)) | None => "attribute".to_owned(),
                    Some((_, column)) => column.to_string(),
                };
                let text = text.value();
                found.push(format!(
                    "{place}: {}",
                    text.lines().next().unwrap_or_default()
                ));
            }
            TokenTree::Group(group) => found.extend(told(group.stream())),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

#[test]
fn misuse_is_told_at_the_token_that_is_wrong() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/misuse/inputs.txt");
    let text = fs::read_to_string(&path).expect("`inputs.txt`");
    let (mut lines, mut count, mut silent) = (String::new(), 0, Vec::new());
    for input in text.lines().filter(|line| !line.starts_with(' ')) {
        let told = told(expand(input, Some("(stages: {\"z\": (from: \"a\")})")));
        if told.is_empty() {
            silent.push(input);
        }
        assert!(
            told.iter().all(|line| line.len() > "1: a word".len()),
            "{told:?}"
        );
        lines.push_str(&format!("{input}\n"));
        told.iter()
            .for_each(|line| lines.push_str(&format!("    {line}\n")));
        count += 1;
    }
    assert!(silent.is_empty(), "nothing is said about {silent:#?}");
    assert!(count >= 100, "{count} inputs");
    if std::env::var_os("UPDATE_MISUSE").is_some() {
        fs::write(&path, &lines).expect("`inputs.txt` is written");
        return;
    }
    for (line, expect) in lines.lines().zip(text.lines()) {
        assert_eq!(line, expect);
    }
    assert_eq!(lines.lines().count(), text.lines().count());
}
