//! Expands source text and collects what the compiler would say.

#![allow(dead_code, reason = "each test uses a part of it")]

use pipewright_macros_core::{Kind, Source, expand_pipeline, expand_stage};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Expands the attribute of an item, which is written `#[stage(..)] fn ..` or `#[pipeline(..)] mod ..`.
/// `ron` is the text of the file that a pipeline names.
pub(crate) fn expand(input: &str, ron: Option<&str>) -> TokenStream {
    let (name, attr, item) = split(input);
    let files = |path: &str, _| match ron {
        Some(text) => Ok(Source::new(path, text)),
        None => Err(format!("cannot read `src/{path}`: there is no such file")),
    };
    match name.as_str() {
        "source" => expand_stage(Kind::Source, attr, item),
        "stage" => expand_stage(Kind::Stage, attr, item),
        "sink" => expand_stage(Kind::Sink, attr, item),
        _ => expand_pipeline(attr, item, &files),
    }
}

/// Takes the first attribute off.
fn split(input: &str) -> (String, TokenStream, TokenStream) {
    let tokens: TokenStream = input.parse().expect("test input is made of tokens");
    let mut tokens = tokens.into_iter();
    let _pound = tokens.next();
    let Some(TokenTree::Group(attribute)) = tokens.next() else {
        panic!("test input starts with an attribute")
    };
    let mut inside = attribute.stream().into_iter();
    let name = inside
        .next()
        .map(|word| word.to_string())
        .unwrap_or_default();
    let attr = match inside.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            group.stream()
        }
        _ => TokenStream::new(),
    };
    (name, attr, tokens.collect())
}

/// The texts of all `compile_error!`s.
pub(crate) fn errors(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_error = false;
    for token in tokens {
        match token {
            TokenTree::Ident(word) => after_error = word == "compile_error",
            TokenTree::Group(group) if after_error => {
                let text: syn::LitStr =
                    syn::parse2(group.stream()).expect("an error holds a string");
                found.push(text.value());
                after_error = false;
            }
            TokenTree::Group(group) => found.extend(errors(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}
