//! Stages of other modules: finds the functions that the `use` items of a pipeline bring in.

use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemFn, UseTree, spanned::Spanned};

use super::modules::{Crate, Found};

/// A name that a pipeline uses and does not define.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What it is called in the pipeline's module.
    pub(crate) name: String,
    /// Where it comes from, as the `use` spells it: `["super", "stages", "decode"]`.
    pub(crate) path: Vec<String>,
}

/// A stage of another module.
pub(crate) struct Import {
    /// The file it is in, as a path from the working directory if it is below it.
    pub(crate) path: PathBuf,
    /// The line that the stage starts in, from 1.
    pub(crate) line: usize,
    /// The text of the stage under the name that it has in the pipeline, from the start of that line.
    pub(crate) text: String,
    /// The function, under the name that it has in the pipeline.
    pub(crate) function: ItemFn,
    /// That name.
    pub(crate) name: String,
}

/// How often a name may be passed on by `pub use`.
const MAX_STEPS: usize = 8;

/// What `use` items bring in.
pub(crate) fn imports(items: &[Item]) -> Vec<Wanted> {
    let mut found = Vec::new();
    for item in items {
        if let Item::Use(item) = item
            && item.leading_colon.is_none()
        {
            collect(&item.tree, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn collect(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<Wanted>) {
    let mut add = |name: &syn::Ident, local: &syn::Ident| {
        let full = path.iter().cloned().chain([plain(name)]).collect();
        found.push(Wanted {
            name: plain(local),
            path: full,
        });
    };
    match tree {
        UseTree::Path(part) => {
            path.push(plain(&part.ident));
            collect(&part.tree, path, found);
            path.pop();
        }
        UseTree::Name(name) => add(&name.ident, &name.ident),
        UseTree::Rename(name) => add(&name.ident, &name.rename),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| collect(tree, path, found)),
        UseTree::Glob(_) => {}
    }
}

/// Finds the stage that `wanted` names, as seen from the module at `from`.
pub(crate) fn find(tree: &Crate, from: &[String], wanted: &Wanted) -> Option<Import> {
    let mut path = absolute(tree, from, &wanted.path)?;
    for _ in 0..MAX_STEPS {
        let name = path.pop()?;
        let module = tree.module(&path)?;
        if let Some(function) = module.items.iter().find_map(|item| stage(item, &name)) {
            return Some(import(&module, function, &wanted.name));
        }
        let next = imports(&module.items)
            .into_iter()
            .find(|next| next.name == name)?;
        path = absolute(tree, &path, &next.path)?;
    }
    None
}

/// The path from the root of the crate, or `None` if it leads out of it.
fn absolute(tree: &Crate, from: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base = from.to_vec();
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()?),
            _ if rest.len() == path.len() => {
                // A first word without a keyword is a module here, or another crate.
                let child: Vec<String> = base.iter().chain([first]).cloned().collect();
                tree.module(&child)?;
                break;
            }
            _ => break,
        }
        rest = others;
    }
    Some(base.iter().chain(rest).cloned().collect())
}

fn stage<'i>(item: &'i Item, name: &str) -> Option<&'i ItemFn> {
    match item {
        Item::Fn(function)
            if plain(&function.sig.ident) == name && stage_attribute(function).is_some() =>
        {
            Some(function)
        }
        _ => None,
    }
}

/// The attribute that makes a function a stage.
pub(crate) fn stage_attribute(function: &ItemFn) -> Option<&Attribute> {
    const WORDS: [&str; 3] = ["source", "stage", "sink"];
    let is_one = |attr: &&Attribute| {
        attr.path()
            .segments
            .last()
            .is_some_and(|last| WORDS.iter().any(|word| last.ident == word))
    };
    function.attrs.iter().find(is_one)
}

fn import(module: &Found, function: &ItemFn, local: &str) -> Import {
    let text = &module.text;
    let whole = function.span().byte_range();
    let start = text[..whole.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let name = function.sig.ident.span().byte_range();
    let mut function = function.clone();
    function.sig.ident = syn::Ident::new(local, function.sig.ident.span());
    Import {
        path: from_here(&module.path),
        line: text[..start].matches('\n').count() + 1,
        text: format!(
            "{}{local}{}",
            &text[start..name.start],
            &text[name.end..whole.end]
        ),
        function,
        name: local.to_owned(),
    }
}

fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
    let inside = here
        .ok()
        .and_then(|here| Some(path.strip_prefix(here).ok()?.to_path_buf()));
    inside.unwrap_or_else(|| path.to_path_buf())
}

/// An identifier without `r#`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}
