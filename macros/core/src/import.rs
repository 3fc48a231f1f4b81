//! Stages of other modules. Macros see only their own tokens, so the companion macros of imported stages are
//! asked for their heads: `#[pipeline]` ends its module with
//!
//! ```text
//! path::to::__stage_a! { [other::__stage_b] [::pipewright::__private::finish_pipeline] ; { .. } }
//! ```
//!
//! Each companion calls the next one and adds a group with its head; the last one is a macro that goes on where
//! `#[pipeline]` stopped: [`finish`].

use pipewright_spec::model::{INPUT, Kind};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{
    Attribute,
    parse::{ParseStream, Parser},
};

use crate::{
    emit,
    errors::Errors,
    item::{MaybeItemFn, plain},
    module::{Import, Module, stage_attribute},
    pipeline::{Files, Head, Ready},
    stage::StageDef,
};

/// What is known before the companions are asked.
pub(crate) struct Initial<'i> {
    pub(crate) name: &'i Ident,
    pub(crate) head: &'i TokenStream,
    pub(crate) defs: &'i [StageDef],
    pub(crate) imports: &'i [Import],
}

impl Initial<'_> {
    /// The call of the first companion.
    pub(crate) fn chain(&self) -> TokenStream {
        let calls: Vec<TokenStream> = self.imports.iter().map(companion_path).collect();
        let (first, rest) = match calls.split_first() {
            Some((first, rest)) => (first.clone(), rest),
            None => (quote!(::pipewright::__private::finish_pipeline), &[][..]),
        };
        let (name, head) = (self.name, self.head);
        let own = self.defs.iter().map(|def| emit::told(def, false));
        let locals = self.imports.iter().map(|import| &import.name);
        quote! {
            #first! {
                #([#rest])* [::pipewright::__private::finish_pipeline] ;
                { #name { #head } { #({ #own })* } { #(#locals)* } }
            }
        }
    }
}

fn companion_path(import: &Import) -> TokenStream {
    let companion = format_ident!(
        "__stage_{}",
        plain(&import.original),
        span = import.original.span()
    );
    let path = &import.path;
    quote!(#path #companion)
}

/// The imported stages: names that `from` or the RON mention, that are no stage here, and that a `use` brings in.
pub(crate) fn mentioned(
    module: &Module,
    head: &Head,
    defs: &[StageDef],
    errors: &mut Errors,
) -> Vec<Import> {
    let mut names: Vec<String> = defs
        .iter()
        .flat_map(|def| &def.args.from)
        .map(|door| door.stage.text.clone())
        .collect();
    if let Some(Ok(file)) = head.source.as_ref().map(pipewright_spec::ron::topology) {
        for stage in file.stages {
            names.push(stage.run.unwrap_or(stage.name).text);
        }
    }
    let mut found: Vec<Import> = Vec::new();
    for name in names {
        let known = name == INPUT
            || defs.iter().any(|def| def.name() == name)
            || found.iter().any(|import| plain(&import.name) == name);
        if let Some(import) = module.import(&name).filter(|_| !known) {
            if import.path.is_empty() {
                errors
                    .at(
                        "E_IMPORT",
                        import.name.span(),
                        format!("`{name}` is imported without the module that it is in"),
                    )
                    .help(format!("write `use path::to::{name};`"));
                continue;
            }
            found.push(import.clone());
        }
    }
    found
}

/// The input of `finish_pipeline!`.
struct Told {
    name: Ident,
    head: TokenStream,
    own: Vec<TokenStream>,
    locals: Vec<Ident>,
    imported: Vec<TokenStream>,
}

/// Goes on where `#[pipeline]` stopped, with the heads of the imported stages.
pub(crate) fn finish(input: TokenStream, files: Files<'_>) -> TokenStream {
    let told = match told.parse2(input) {
        Ok(told) => told,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::new();
    let head = Head::read(told.head, files, &mut errors);
    let mut defs = Vec::new();
    let mut broken = false;
    for text in told.own {
        defs.extend(stage_of(text, None, &mut errors, &mut broken));
    }
    for (text, name) in told.imported.into_iter().zip(&told.locals) {
        defs.extend(stage_of(text, Some(name), &mut errors, &mut broken));
    }
    if broken {
        // The stage has told its errors where it stands.
        return emit::stub(head.args.env.as_ref(), &defs, &[]);
    }
    let ready = Ready {
        name: plain(&told.name),
        span: told.name.span(),
        head: &head,
        defs: &defs,
        plain: Vec::new(),
        reserved: Vec::new(),
        partial: false,
    };
    ready.finish(errors).items
}

fn told(input: ParseStream<'_>) -> syn::Result<Told> {
    let _semicolon: syn::Token![;] = input.parse()?;
    let inside = group(input)?;
    let first = |input: ParseStream<'_>| {
        let name: Ident = input.parse()?;
        let head = group(input)?;
        let own = groups.parse2(group(input)?)?;
        let locals = group(input)?;
        let locals = (|input: ParseStream<'_>| {
            let mut names = Vec::new();
            while !input.is_empty() {
                names.push(input.parse::<Ident>()?);
            }
            Ok(names)
        })
        .parse2(locals)?;
        Ok((name, head, own, locals))
    };
    let (name, head, own, locals) = first.parse2(inside)?;
    Ok(Told {
        name,
        head,
        own,
        locals,
        imported: groups(input)?,
    })
}

fn groups(input: ParseStream<'_>) -> syn::Result<Vec<TokenStream>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        found.push(group(input)?);
    }
    Ok(found)
}

fn group(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    match input.parse::<TokenTree>()? {
        TokenTree::Group(group) => Ok(group.stream()),
        other => Err(syn::Error::new(other.span(), "expected a group in braces")),
    }
}

/// A stage from what its companion told; `name` is what it is called here.
fn stage_of(
    text: TokenStream,
    name: Option<&Ident>,
    errors: &mut Errors,
    broken: &mut bool,
) -> Option<StageDef> {
    let mut item: MaybeItemFn = match syn::parse2(text) {
        Ok(item) => item,
        Err(error) => {
            errors.syntax(error);
            return None;
        }
    };
    *broken |= item
        .attrs
        .iter()
        .any(|attr: &Attribute| attr.path().is_ident("broken"));
    let (kind, span, args) = item.attrs.iter().find_map(stage_attribute).unwrap_or((
        Kind::Stage,
        item.span(),
        TokenStream::new(),
    ));
    item.attrs.clear();
    if let Some(name) = name {
        item.sig.ident = name.clone();
    }
    // Problems of the attribute and the function were told where they stand.
    Some(StageDef::read(kind, span, args, item, &mut Errors::new()))
}
