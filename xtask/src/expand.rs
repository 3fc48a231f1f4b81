//! `cargo xtask expand`: prints the code that `#[pipeline]` makes.

use std::path::Path;

use pipewright_macros_core::{expand_pipeline, finish_pipeline};
use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Item, ItemMod};

use crate::{
    Outcome,
    read::{self, PipelineModule, RustFile, arguments, attribute, is_pipeline},
    say,
};

/// Prints what becomes of each pipeline of a file.
pub(crate) fn run(path: &Path) -> Outcome {
    let file = RustFile::new(path, read::source(path)?);
    let reading = file.read();
    let wrong: Vec<&String> = reading.problems().collect();
    if !wrong.is_empty() {
        wrong.iter().for_each(|problem| eprintln!("{problem}\n"));
        return Ok(false);
    }
    let expanded = file.walk(&mut |module| Some(expand(&file, module)));
    if expanded.is_empty() {
        return Err(format!("there is no pipeline in `{}`", path.display()));
    }
    for (n, text) in expanded.into_iter().enumerate() {
        let gap = if n == 0 { "" } else { "\n" };
        say::text(&format!("{gap}{}", text?))?;
    }
    Ok(true)
}

fn expand(file: &RustFile, found: PipelineModule<'_>) -> Result<String, String> {
    let mut module = found.module.clone();
    let args = attribute(&module).map(arguments).unwrap_or_default();
    let name = &found.module.ident;
    module.attrs.retain(|attr| !is_pipeline(attr));
    let files = |name: &str, _| file.file(name);
    let tokens = expand_pipeline(args, module.into_token_stream(), &files);
    let mut expanded: syn::File = syn::parse2(tokens).map_err(|error| unreadable(name, &error))?;
    for item in &mut expanded.items {
        if let Item::Mod(ItemMod {
            content: Some((_, items)),
            ..
        }) = item
        {
            finish(file, found, items)?;
        }
    }
    Ok(with_path(
        &prettyplease::unparse(&expanded),
        &file.source().path,
    ))
}

/// Outside of the compiler a token does not know its file; it says `<parsed string 1>`.
fn with_path(text: &str, path: &str) -> String {
    let mut parts = text.split("\"<parsed string ");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(">\"").map_or(part, |(_, rest)| rest);
        named.push_str(&format!("{path:?}{rest}"));
    }
    named
}

/// A pipeline with imported stages ends in a macro that asks for their signatures; this answers in its place.
fn finish(file: &RustFile, found: PipelineModule<'_>, items: &mut Vec<Item>) -> Result<(), String> {
    let Some(Item::Macro(call)) = items.last() else {
        return Ok(());
    };
    let last = call
        .mac
        .path
        .segments
        .last()
        .map(|last| last.ident.to_string());
    if !last.is_some_and(|name| name.starts_with("__stage_")) {
        return Ok(());
    }
    let told = braces(call.mac.tokens.clone()).pop().unwrap_or_default();
    let names = braces(told.clone()).pop().unwrap_or_default();
    let mut heads = Vec::new();
    for name in names {
        let head = match &name {
            TokenTree::Ident(name) => head(file, found, name),
            _ => None,
        };
        let Some(head) = head else {
            eprintln!(
                "note: the function of `{name}` was not found, so the code that needs it is left out"
            );
            return Ok(());
        };
        heads.push(head);
    }
    let files = |name: &str, _| file.file(name);
    let rest = finish_pipeline(quote!(; { #told } #({ #heads })*), &files);
    let rest: syn::File =
        syn::parse2(rest).map_err(|error| unreadable(&found.module.ident, &error))?;
    items.pop();
    items.extend(rest.items);
    Ok(())
}

/// The attribute and the head of an imported stage.
fn head(file: &RustFile, found: PipelineModule<'_>, name: &Ident) -> Option<TokenStream> {
    let function = file.import(found, &name.to_string())?.function;
    let attr = read::stage_attribute(&function)?;
    let sig = &function.sig;
    Some(quote!(#attr #sig {}))
}

/// What stands in the braces of a text, group by group.
fn braces(tokens: TokenStream) -> Vec<TokenStream> {
    let inside = |token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    };
    tokens.into_iter().filter_map(inside).collect()
}

fn unreadable(name: &Ident, error: &syn::Error) -> String {
    format!("what `#[pipeline]` makes of `{name}` is not Rust: {error}")
}
