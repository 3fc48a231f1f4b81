//! Rust files: the `#[pipeline]` modules in them.

use std::path::{Path, PathBuf};

use pipewright_macros_core::{FoundPipeline, Place, read_pipelines};
use pipewright_spec::{
    model::{INPUT, Model},
    report::{Problem, Source},
    suggest,
};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{Attribute, Item, ItemMod, LitStr, Meta};

use super::{
    Pipeline, Reading,
    imports::{self, Import, Wanted},
    listed,
    modules::Crate,
    package, source,
    splice::Splice,
    without_places,
};

/// A Rust file.
pub(crate) struct RustFile {
    path: PathBuf,
    source: Source,
    /// Its items; `None` while it does not parse, which pipelines in it can still do.
    items: Option<Vec<Item>>,
}

/// A module with a pipeline, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct PipelineModule<'f> {
    /// The modules of the file around it.
    around: &'f [String],
    /// The module.
    pub(crate) module: &'f ItemMod,
}

/// The stages of other modules that a pipeline uses.
#[derive(Default)]
struct Used {
    found: Vec<Import>,
    /// Imported, but their functions were not found.
    missing: Vec<String>,
    /// Neither here nor imported.
    unknown: Vec<String>,
}

impl RustFile {
    /// A file and its text.
    pub(crate) fn new(path: &Path, source: Source) -> RustFile {
        let items = syn::parse_file(&source.text).ok().map(|file| file.items);
        RustFile {
            path: path.to_path_buf(),
            source,
            items,
        }
    }

    /// Its text.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Its pipelines.
    pub(crate) fn read(&self) -> Reading {
        let found = match self.pipelines(&self.source) {
            Ok(found) => found,
            Err(problem) => return Reading::problem(problem),
        };
        let mut reading = Reading::default();
        if found.is_empty() {
            reading.notes.push(format!(
                "`{}` has no `#[pipeline]` module",
                self.source.path
            ));
        }
        reading
            .pipelines
            .extend(found.into_iter().map(|pipeline| self.complete(pipeline)));
        reading
    }

    /// The names of the pipelines that take their shape from a RON file.
    pub(crate) fn users_of(&self, ron: &Path) -> Vec<String> {
        let Ok(ron) = ron.canonicalize() else {
            return Vec::new();
        };
        let uses = |module: &ItemMod| {
            let file = self.locate(&ron_of(module)?);
            (file.canonicalize().ok()? == ron).then(|| imports::plain(&module.ident))
        };
        self.walk(&mut |found| uses(found.module))
    }

    /// Applies `f` to each module with a pipeline, in the order of the file.
    pub(crate) fn walk<T>(&self, f: &mut dyn FnMut(PipelineModule<'_>) -> Option<T>) -> Vec<T> {
        let mut results = Vec::new();
        walk(
            self.items.as_deref().unwrap_or_default(),
            &mut Vec::new(),
            &mut |found| {
                results.extend(f(found));
            },
        );
        results
    }

    /// Reads a file that a path literal of this one names.
    pub(crate) fn file(&self, name: &str) -> Result<Source, String> {
        source(&self.locate(name))
    }

    /// The stage that a module imports under a name.
    pub(crate) fn import(&self, found: PipelineModule<'_>, name: &str) -> Option<Import> {
        let items = &found.module.content.as_ref()?.1;
        let wanted = imports::imports(items)
            .into_iter()
            .find(|wanted| wanted.name == name)?;
        let (tree, mut path) = Crate::of(&self.path)?;
        path.extend(found.around.iter().cloned());
        path.push(imports::plain(&found.module.ident));
        imports::find(&tree, &path, &wanted)
    }

    fn locate(&self, name: &str) -> PathBuf {
        match name.strip_prefix('/') {
            Some(below) => package(&self.path).unwrap_or_default().join(below),
            None => self.path.parent().unwrap_or(Path::new("")).join(name),
        }
    }

    fn pipelines(&self, text: &Source) -> Result<Vec<FoundPipeline>, String> {
        read_pipelines(text, &|name, _| self.file(name))
    }

    /// Adds what other modules tell about the stages that the pipeline imports.
    fn complete(&self, found: FoundPipeline) -> Pipeline {
        let start = start_of(&found.model);
        let used = self.walk(&mut |module| {
            let here = Some(module.module.ident.span().byte_range().start) == start;
            here.then(|| (self.used(module, &found.model), end_of(module.module)))
        });
        let Some((used, Some(end))) = used.into_iter().next() else {
            return pipeline(found, &|text| text);
        };
        let unknown = self.unknown(&found.model, &used);
        let splice = Splice::new(&self.source, end, &used.found);
        let again = self.pipelines(splice.source()).unwrap_or_default();
        let again = again
            .into_iter()
            .find(|again| start_of(&again.model) == start);
        let mut done = pipeline(again.unwrap_or(found), &|problem| splice.relocate(&problem));
        done.problems.extend(unknown);
        if !used.missing.is_empty() {
            let (names, name) = (listed(&used.missing), &done.model.name);
            done.notes.push(format!(
                "no stage was found where `{name}` imports {names} from, so not all signatures are known"
            ));
        }
        done
    }

    /// Where the stages come from that are not in the module.
    fn used(&self, module: PipelineModule<'_>, model: &Model<Place>) -> Used {
        let imported = module
            .module
            .content
            .as_ref()
            .map(|(_, items)| imports::imports(items))
            .unwrap_or_default();
        let is_imported = |name: &str| {
            imported
                .iter()
                .any(|Wanted { name: local, .. }| local == name)
        };
        let mut used = Used::default();
        for name in elsewhere(model) {
            match self.import(module, &name) {
                Some(import) => used.found.push(import),
                None if is_imported(&name) => used.missing.push(name),
                None => used.unknown.push(name),
            }
        }
        used
    }

    /// Functions that the RON file names and that are nowhere.
    fn unknown(&self, model: &Model<Place>, used: &Used) -> Vec<String> {
        let known = model
            .stages
            .iter()
            .filter(|stage| stage.signature.is_some())
            .map(|stage| stage.name.text.as_str());
        let known: Vec<&str> = known
            .chain(used.found.iter().map(|import| import.name.as_str()))
            .collect();
        let mut problems = Vec::new();
        for stage in &model.stages {
            let name = stage.run.as_ref().unwrap_or(&stage.name);
            if let (true, Place::Ron(range)) = (used.unknown.contains(&name.text), &name.place) {
                let file = self.walk(&mut |found| {
                    let here = imports::plain(&found.module.ident) == model.name;
                    ron_of(found.module)
                        .filter(|_| here)
                        .and_then(|file| self.file(&file).ok())
                });
                let Some(file) = file.first() else { continue };
                problems.push(no_function(&name.text, range.clone(), file, &known).render(file));
            }
        }
        problems
    }
}

fn no_function(
    name: &str,
    place: std::ops::Range<usize>,
    file: &Source,
    known: &[&str],
) -> Problem<std::ops::Range<usize>> {
    let short = file.path.rsplit(['/', '\\']).next().unwrap_or(&file.path);
    let help = match suggest::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write `#[stage] fn {name}` in it, or `use` the stage by its name"),
    };
    let message = format!("`{short}` names `{name}`, but the module has no `#[stage] fn {name}`");
    Problem::new("E_NO_FUNCTION", message, place).help(help)
}

/// The functions that the pipeline uses and whose signatures are not known.
fn elsewhere(model: &Model<Place>) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for stage in &model.stages {
        if stage.signature.is_none() && stage.kind.is_none() {
            names.push(&stage.run.as_ref().unwrap_or(&stage.name).text);
        }
        let doors = stage.from.iter().map(|door| door.stage.text.as_str());
        names.extend(doors.filter(|name| *name != INPUT && model.find(name).is_none()));
    }
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

fn pipeline(found: FoundPipeline, shown: &dyn Fn(String) -> String) -> Pipeline {
    Pipeline {
        problems: found.problems.into_iter().map(shown).collect(),
        model: without_places(found.model),
        notes: Vec::new(),
    }
}

/// The place of the pipeline's name in the text.
fn start_of(model: &Model<Place>) -> Option<usize> {
    match &model.place {
        Place::Rust(span) => Some(Span::byte_range(span).start),
        Place::Ron(_) => None,
    }
}

/// The place of the brace that ends the module.
fn end_of(module: &ItemMod) -> Option<usize> {
    let (braces, _) = module.content.as_ref()?;
    Some(braces.span.close().byte_range().start)
}

fn walk(items: &[Item], around: &mut Vec<String>, f: &mut dyn FnMut(PipelineModule<'_>)) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let Some((_, inside)) = &module.content else {
            continue;
        };
        if attribute(module).is_some() {
            f(PipelineModule { around, module });
            continue;
        }
        around.push(imports::plain(&module.ident));
        walk(inside, around, f);
        around.pop();
    }
}

/// `#[pipeline]` of a module.
pub(crate) fn attribute(module: &ItemMod) -> Option<&Attribute> {
    module.attrs.iter().find(|attr| is_pipeline(attr))
}

/// `#[pipeline]`, by whatever path.
pub(crate) fn is_pipeline(attr: &Attribute) -> bool {
    attr.path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "pipeline")
}

/// What stands in the parentheses of an attribute.
pub(crate) fn arguments(attr: &Attribute) -> TokenStream {
    match &attr.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
    }
}

/// The path in `#[pipeline("path.ron")]`.
fn ron_of(module: &ItemMod) -> Option<String> {
    let first = arguments(attribute(module)?).into_iter().next()?;
    let literal: LitStr = syn::parse2(TokenTree::into(first)).ok()?;
    Some(literal.value())
}
