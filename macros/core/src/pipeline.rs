//! One pipeline: `#[pipeline]` on a module.
//!
//! The module is scanned, attributes and RON are merged, the model is checked and planned, and the plan is
//! turned into code. Where the pipeline uses stages of other modules, their companion macros are asked first
//! and [`finish`] does the rest; see [`crate::import`].

use pipewright_spec::report::Source;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::LitStr;

use crate::{
    attr, emit,
    errors::Errors,
    import::{self, Initial},
    item::{MaybeMod, OtherItem},
    merge::{self, File, Merged, Written},
    module::{self, Item, Module},
    options::{self, PipelineArgs},
    place::Place,
    public,
    stage::StageDef,
};

/// Reads a file that a path literal names; the span is that of the literal.
pub type Files<'f> = &'f dyn Fn(&str, Span) -> Result<Source, String>;

/// The arguments of `#[pipeline]` and the file that they name.
pub(crate) struct Head {
    /// The arguments as written.
    pub(crate) text: TokenStream,
    /// The arguments, read.
    pub(crate) args: PipelineArgs,
    /// The path literal.
    pub(crate) literal: Option<LitStr>,
    /// The file, if it could be read.
    pub(crate) source: Option<Source>,
}

/// A pipeline that is ready to be merged and checked.
pub(crate) struct Ready<'r> {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) head: &'r Head,
    pub(crate) defs: &'r [StageDef],
    /// Functions of the module that are no stages.
    pub(crate) plain: Vec<String>,
    /// Names of the module that are to be generated.
    pub(crate) reserved: Vec<String>,
    pub(crate) partial: bool,
}

/// Expands `#[pipeline(attr)] item`.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, files: Files<'_>) -> TokenStream {
    let mut errors = Errors::new();
    let module = match syn::parse2::<MaybeMod>(item.clone()) {
        Ok(module) => module,
        Err(error) => {
            not_a_module(&item, error, &mut errors);
            let errors = errors.into_tokens(None);
            return quote!(#item #errors);
        }
    };
    let head = Head::read(attr, files, &mut errors);
    let Some(body) = &module.body else {
        return without_body(&module, errors);
    };
    let scanned = module::scan(body.clone(), &mut errors);
    let reserved = check_names(&scanned, &mut errors);
    let name = crate::item::plain(&module.ident);
    let (items, defs) = expand_items(&name, &scanned, &head, &mut errors);
    let generated = generate(&module, &scanned, &head, &defs, reserved, errors);
    let MaybeMod {
        attrs,
        vis,
        keyword,
        ident,
        ..
    } = &module;
    let inner = &scanned.inner;
    let doc = generated.doc.map(|doc| quote!(#[doc = #doc]));
    let generated = generated.items;
    quote! {
        #(#attrs)*
        #doc
        #vis #keyword #ident {
            #inner
            #items
            #generated
        }
    }
}

/// What goes to the end of the module, and what is said about it.
pub(crate) struct Generated {
    pub(crate) items: TokenStream,
    pub(crate) doc: Option<String>,
}

fn generate(
    module: &MaybeMod,
    scanned: &Module,
    head: &Head,
    defs: &[StageDef],
    reserved: Vec<String>,
    mut errors: Errors,
) -> Generated {
    let name = crate::item::plain(&module.ident);
    let mentioned = import::mentioned(scanned, head, defs, &mut errors);
    if !mentioned.is_empty() && errors.is_empty() {
        let initial = Initial {
            name: &module.ident,
            head: &head.text,
            defs,
            imports: &mentioned,
        };
        return Generated {
            items: initial.chain(),
            doc: None,
        };
    }
    let plain = scanned.functions();
    let ready = Ready {
        name,
        span: module.ident.span(),
        head,
        defs,
        plain,
        reserved,
        partial: false,
    };
    ready.finish(errors)
}

impl Ready<'_> {
    /// Merges, checks, plans and emits; or emits a stub beside the errors.
    pub(crate) fn finish(self, mut errors: Errors) -> Generated {
        let merged = self.merged(&mut errors);
        if errors.is_empty() {
            errors.extend(pipewright_spec::check(&merged.model));
        }
        if errors.is_empty() {
            public::check(&merged, self.defs, &mut errors);
        }
        let tracked = self.head.tracked();
        if !errors.is_empty() {
            let stub = emit::stub(self.head.args.env.as_ref(), self.defs, &self.reserved);
            let errors = self.head.tokens(errors);
            return Generated {
                items: quote!(#stub #tracked #errors),
                doc: None,
            };
        }
        let (items, doc) = emit::pipeline(&merged, self.defs, self.head);
        Generated {
            items: quote!(#items #tracked),
            doc: Some(doc),
        }
    }

    /// The model; RON problems are reported.
    pub(crate) fn merged(&self, errors: &mut Errors) -> Merged {
        let file =
            self.head.source.as_ref().and_then(|source| {
                match pipewright_spec::ron::topology(source) {
                    Ok(model) => {
                        let problems = pipewright_spec::check_names(&model);
                        let good = problems.is_empty();
                        errors.extend_ron(problems);
                        good.then(|| File {
                            source,
                            model: model.map_place(&mut Place::Ron),
                        })
                    }
                    Err(problems) => {
                        errors.extend_ron(problems);
                        None
                    }
                }
            });
        let written = Written {
            name: self.name.clone(),
            span: self.span,
            defs: self.defs,
            args: &self.head.args,
            plain: &self.plain,
            file,
            partial: self.partial,
        };
        merge::merge(written, errors)
    }
}

impl Head {
    /// Reads the arguments and the file that they name.
    pub(crate) fn read(text: TokenStream, files: Files<'_>, errors: &mut Errors) -> Head {
        let read = attr::pipeline_args(text.clone(), errors);
        let args = options::pipeline(read.args, errors);
        let literal = read.file;
        let source = literal.as_ref().and_then(|literal| match files(&literal.value(), literal.span()) {
            Ok(source) => Some(source),
            Err(why) => {
                errors
                    .at("E_FILE", literal.span(), why)
                    .help("a path is relative to this source file; start it with `/` for the root of the package");
                None
            }
        });
        Head {
            text,
            args,
            literal,
            source,
        }
    }

    /// Errors, those of the file on its literal.
    pub(crate) fn tokens(&self, errors: Errors) -> TokenStream {
        let file = self
            .source
            .as_ref()
            .zip(self.literal.as_ref().map(LitStr::span));
        errors.into_tokens(file)
    }

    /// Makes the compiler look at the file again when it changes. A file that cannot be read is left out: that
    /// would be a second error.
    fn tracked(&self) -> Option<TokenStream> {
        let literal = self.literal.as_ref().filter(|_| self.source.is_some())?;
        let path = match literal.value().strip_prefix('/') {
            Some(rest) => quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #rest)),
            None => quote!(#literal),
        };
        Some(quote!(
            const _: &[u8] = ::core::include_bytes!(#path);
        ))
    }
}

/// Expands the stages of the module in place.
fn expand_items(
    name: &str,
    scanned: &Module,
    head: &Head,
    errors: &mut Errors,
) -> (TokenStream, Vec<StageDef>) {
    let mut tokens = TokenStream::new();
    let mut defs: Vec<StageDef> = Vec::new();
    for item in &scanned.items {
        match item {
            Item::Stage(raw) => {
                let before = errors.len();
                let def = StageDef::read(
                    raw.kind,
                    raw.attr,
                    raw.args.clone(),
                    raw.item.clone(),
                    errors,
                );
                check_stage_name(&def, &defs, errors);
                let broken = errors.len() > before;
                tokens.extend(emit::stage(
                    &def,
                    Some(name),
                    head.args.env.as_ref(),
                    broken,
                ));
                tokens.extend(emit::companion(&def, broken));
                defs.push(def);
            }
            Item::Use(text, _) | Item::Other(text, _) => tokens.extend(text.clone()),
        }
    }
    (tokens, defs)
}

/// Two functions of one name: `#[cfg]` may be meant to choose between them.
fn check_stage_name(def: &StageDef, before: &[StageDef], errors: &mut Errors) {
    let (name, span) = (def.name(), def.item.span());
    if before.iter().any(|other| other.name() == name) {
        errors
            .at(
                "E_STAGE_TWICE",
                span,
                format!("`{name}` is already a stage"),
            )
            .help("rename one of them; `#[cfg]` does not choose between stages of one name");
    }
}

/// `Pipeline` and `pipeline` are generated. Returns which of them the module has already.
fn check_names(scanned: &Module, errors: &mut Errors) -> Vec<String> {
    let imported = |name: &str| scanned.import(name).map(|import| &import.name);
    let stage = |name: &str| {
        scanned
            .stages()
            .map(|stage| &stage.item.sig.ident)
            .find(|ident| *ident == name)
    };
    let taken = [
        scanned.other("Pipeline").or_else(|| imported("Pipeline")),
        scanned.other("pipeline").or_else(|| stage("pipeline")),
    ];
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    for ident in &taken {
        errors
            .at(
                "E_RESERVED",
                ident.span(),
                format!("`{ident}` is generated by `#[pipeline]`"),
            )
            .help("rename yours");
    }
    taken.iter().map(ToString::to_string).collect()
}

fn not_a_module(item: &TokenStream, error: syn::Error, errors: &mut Errors) {
    let other = OtherItem::of(item.clone()).keyword;
    match other {
        Some(word) if word == "mod" => errors.syntax(error),
        other => {
            let is_fn = crate::item::looks_like_fn(item);
            let what = if is_fn {
                ", this is a `fn`".to_owned()
            } else {
                String::new()
            };
            let what = other.as_ref().filter(|_| !is_fn).map_or(what, |word| {
                format!(", this is {}", OtherItem::with_article(word))
            });
            let span = other
                .filter(|_| !is_fn)
                .map_or_else(Span::call_site, |word| word.span());
            errors
                .at(
                    "E_NOT_A_MODULE",
                    span,
                    format!("`#[pipeline]` goes on a module{what}"),
                )
                .help("write `mod name { .. }` around the stages");
        }
    }
}

fn without_body(module: &MaybeMod, mut errors: Errors) -> TokenStream {
    let name = &module.ident;
    errors
        .at(
            "E_NO_BODY",
            module.end,
            format!("`#[pipeline]` needs the module's body here: `mod {name} {{ .. }}`"),
        )
        .help("move the attribute into the other file and put `mod` with a body around the stages");
    let (vis, stub) = (&module.vis, emit::stub(None, &[], &[]));
    let errors = errors.into_tokens(None);
    quote!(#vis mod #name { #stub } #errors)
}
