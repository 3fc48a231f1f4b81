//! Reads the pipelines of a source file without compiling it, for `cargo xtask check` and `graph`.

use pipewright_spec::{
    model::{Model, Name, Stage},
    report::{Problem, Source},
};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Meta};

use crate::{
    errors::Errors,
    item::{MaybeMod, plain},
    module,
    pipeline::{Files, Head, Ready},
    place::Place,
    public,
    stage::StageDef,
};

/// A pipeline of a source file.
#[derive(Debug)]
pub struct FoundPipeline {
    /// The pipeline as it is written.
    pub model: Model<Place>,
    /// What is wrong with it, rendered with places and snippets.
    pub problems: Vec<String>,
}

/// The pipelines of a Rust file, in its order. `Err` says why the file could not be read.
pub fn read_pipelines(rust: &Source, files: Files<'_>) -> Result<Vec<FoundPipeline>, String> {
    let tokens: TokenStream = rust.text.parse().map_err(|error: proc_macro2::LexError| {
        let problem = Problem::new("E_SYNTAX", "this is not Rust", error.span().byte_range());
        problem.render(rust)
    })?;
    let mut found = Vec::new();
    walk(tokens, rust, files, &mut found);
    Ok(found)
}

/// Looks for `#[pipeline(..)] mod name { .. }`, also inside of other modules.
fn walk(tokens: TokenStream, rust: &Source, files: Files<'_>, found: &mut Vec<FoundPipeline>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let item: TokenStream = tokens[start..=at].iter().cloned().collect();
                start = at + 1;
                match pipeline_of(item) {
                    Some((args, module)) => found.push(read(args, &module, rust, files)),
                    None => walk(group.stream(), rust, files, found),
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => start = at + 1,
            _ => {}
        }
    }
}

fn pipeline_of(item: TokenStream) -> Option<(TokenStream, MaybeMod)> {
    let item = after_inner_attributes(item);
    let module: MaybeMod = syn::parse2(item).ok()?;
    let args = module.attrs.iter().find_map(pipeline_attribute)?;
    module.body.is_some().then_some((args, module))
}

/// The tokens behind `//!` lines and `#![..]`, which belong to the file or the module around.
fn after_inner_attributes(item: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = item.into_iter().collect();
    let mut rest = &tokens[..];
    while let [
        TokenTree::Punct(hash),
        TokenTree::Punct(bang),
        TokenTree::Group(_),
        behind @ ..,
    ] = rest
    {
        if hash.as_char() != '#' || bang.as_char() != '!' {
            break;
        }
        rest = behind;
    }
    rest.iter().cloned().collect()
}

fn pipeline_attribute(attr: &Attribute) -> Option<TokenStream> {
    if attr.path().segments.last()?.ident != "pipeline" {
        return None;
    }
    match &attr.meta {
        Meta::Path(_) => Some(TokenStream::new()),
        Meta::List(list) => Some(list.tokens.clone()),
        Meta::NameValue(_) => None,
    }
}

fn read(args: TokenStream, found: &MaybeMod, rust: &Source, files: Files<'_>) -> FoundPipeline {
    let mut errors = Errors::new();
    let head = Head::read(args, files, &mut errors);
    let scanned = module::scan(found.body.clone().unwrap_or_default(), &mut errors);
    let defs: Vec<StageDef> = scanned
        .stages()
        .map(|raw| {
            StageDef::read(
                raw.kind,
                raw.attr,
                raw.args.clone(),
                raw.item.clone(),
                &mut errors,
            )
        })
        .collect();
    let name = plain(&found.ident);
    let plain = scanned.functions();
    let ready = Ready {
        name,
        span: found.ident.span(),
        head: &head,
        defs: &defs,
        plain,
        reserved: Vec::new(),
        partial: true,
    };
    let mut merged = ready.merged(&mut errors);
    let imported = imported(&merged.model, &scanned);
    merged.model.stages.extend(imported);
    let model = &merged.model;
    if errors.is_empty() {
        errors.extend(pipewright_spec::check(model));
    }
    if errors.is_empty() {
        public::check(&merged, &defs, &mut errors);
    }
    FoundPipeline {
        problems: errors
            .into_problems()
            .iter()
            .map(|p| render(p, rust, head.source.as_ref()))
            .collect(),
        model: merged.model,
    }
}

/// Stages that the pipeline brings in from other modules, of which only the name is known.
fn imported(model: &Model<Place>, module: &module::Module) -> Vec<Stage<Place>> {
    let mut found: Vec<Stage<Place>> = Vec::new();
    let read = model
        .stages
        .iter()
        .flat_map(|stage| &stage.from)
        .map(|door| &door.stage);
    for name in read.filter(|name| model.find(&name.text).is_none()) {
        let known = found.iter().any(|stage| stage.name.text == name.text);
        if let Some(import) = module.import(&name.text).filter(|_| !known) {
            found.push(Stage::new(Name::new(
                name.text.clone(),
                import.name.span().into(),
            )));
        }
    }
    found
}

/// The problem with a snippet of the file that it is in.
fn render(problem: &Problem<Place>, rust: &Source, ron: Option<&Source>) -> String {
    let in_ron = matches!(problem.place, Place::Ron(_));
    let same_file = |place: &Place| matches!(place, Place::Ron(_)) == in_ron;
    let range = |place: Place| match place {
        Place::Rust(span) => span.byte_range(),
        Place::Ron(range) => range,
    };
    let mut problem = problem.clone();
    problem.related.retain(|(place, _)| same_file(place));
    let source = ron.filter(|_| in_ron).unwrap_or(rust);
    problem.map_place(&mut { range }).render(source)
}
