//! A shallow look into the module of a pipeline: it finds the stages and the names that matter, and keeps
//! every token in its place. Bodies are never parsed.

use pipewright_spec::model::Kind;
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::{
    Attribute, Meta, UseTree,
    buffer::Cursor,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::{
    errors::Errors,
    item::{MaybeItemFn, plain},
};

/// What the module of a pipeline holds, in source order.
#[derive(Default)]
pub(crate) struct Module {
    /// Inner attributes and inner docs.
    pub(crate) inner: TokenStream,
    /// Everything else.
    pub(crate) items: Vec<Item>,
}

/// A piece of the module.
pub(crate) enum Item {
    /// A stage, source or sink.
    Stage(Box<RawStage>),
    /// Imported names.
    Use(TokenStream, Vec<Import>),
    /// Anything else; named if it is something that could get in the way of what is generated.
    Other(TokenStream, Option<Ident>),
}

/// A function with one of the three attributes.
pub(crate) struct RawStage {
    /// Which attribute.
    pub(crate) kind: Kind,
    /// The name of the attribute as written.
    pub(crate) attr: Span,
    /// What is in its parentheses.
    pub(crate) args: TokenStream,
    /// The function, without the attribute.
    pub(crate) item: MaybeItemFn,
}

/// One name that a `use` brings in.
#[derive(Clone)]
pub(crate) struct Import {
    /// Its name here.
    pub(crate) name: Ident,
    /// Its name there.
    pub(crate) original: Ident,
    /// The path in front of it, with the last `::`.
    pub(crate) path: TokenStream,
}

/// Takes the body of a `mod` apart.
pub(crate) fn scan(body: TokenStream, errors: &mut Errors) -> Module {
    let parser = |input: ParseStream<'_>| {
        let inner = input.call(Attribute::parse_inner)?;
        let mut module = Module {
            inner: quote::quote!(#(#inner)*),
            items: Vec::new(),
        };
        while !input.is_empty() {
            module.items.push(next_item(input, errors));
        }
        Ok(module)
    };
    let text = body.clone();
    parser.parse2(body).unwrap_or_else(|error| {
        errors.syntax(error);
        Module {
            inner: TokenStream::new(),
            items: vec![Item::Other(text, None)],
        }
    })
}

/// Reads one item. Always takes at least one token.
fn next_item(input: ParseStream<'_>, errors: &mut Errors) -> Item {
    let start = input.cursor();
    let ahead = input.fork();
    let stage = ahead
        .call(Attribute::parse_outer)
        .ok()
        .and_then(|attrs| attrs.iter().find_map(stage_attribute));
    let Some((kind, span, args)) = stage else {
        skip_item(input);
        return other(between(start, input.cursor()));
    };
    match input.fork().parse::<MaybeItemFn>() {
        Ok(_) => match input.parse::<MaybeItemFn>() {
            Ok(mut item) => {
                drop_stage_attributes(&mut item, errors);
                Item::Stage(Box::new(RawStage {
                    kind,
                    attr: span,
                    args,
                    item,
                }))
            }
            Err(_) => other(between(start, input.cursor())),
        },
        Err(error) => {
            skip_item(input);
            let text = between(start, input.cursor());
            not_a_stage(kind, span, &text, error, errors);
            Item::Other(without_stage_attributes(text), None)
        }
    }
}

/// Reports a stage attribute on something that is not a readable function.
fn not_a_stage(kind: Kind, span: Span, text: &TokenStream, error: syn::Error, errors: &mut Errors) {
    if crate::item::looks_like_fn(text) {
        errors.syntax(error);
    } else {
        crate::stage::not_a_function(kind, span, text.clone(), errors);
    }
}

/// `#[stage(..)]`, `#[pipewright::stage(..)]` and the like.
pub(crate) fn stage_attribute(attr: &Attribute) -> Option<(Kind, Span, TokenStream)> {
    let path = attr.path();
    let last = path.segments.last()?;
    let first = path.segments.first()?;
    if path.segments.len() > 2 || (path.segments.len() == 2 && first.ident != "pipewright") {
        return None;
    }
    let kind = match last.ident.to_string().as_str() {
        "source" => Kind::Source,
        "stage" => Kind::Stage,
        "sink" => Kind::Sink,
        _ => return None,
    };
    let args = match &attr.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(_) => return None,
    };
    Some((kind, last.ident.span(), args))
}

fn drop_stage_attributes(item: &mut MaybeItemFn, errors: &mut Errors) {
    let name = item.name();
    let mut seen = false;
    item.attrs.retain(|attr| match stage_attribute(attr) {
        Some((_, span, _)) if seen => {
            errors
                .at(
                    "E_TWO_ROLES",
                    span,
                    format!("`{name}` has two stage attributes"),
                )
                .help("keep one of them");
            false
        }
        Some(_) => {
            seen = true;
            false
        }
        None => true,
    });
}

/// An item that could not be read, without the attributes that would expand on it again.
fn without_stage_attributes(text: TokenStream) -> TokenStream {
    let parser = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        let rest: TokenStream = input.parse()?;
        let attrs = attrs.iter().filter(|attr| stage_attribute(attr).is_none());
        Ok(quote::quote!(#(#attrs)* #rest))
    };
    parser.parse2(text.clone()).unwrap_or(text)
}

/// Moves behind the next item: up to a brace group or a semicolon, whichever the kind of item ends with.
fn skip_item(input: ParseStream<'_>) {
    let mut needs_semicolon = false;
    let mut is_fn = false;
    while let Ok(token) = input.parse::<TokenTree>() {
        match &token {
            TokenTree::Ident(word) if !is_fn => match word.to_string().as_str() {
                "use" | "static" | "type" | "const" => needs_semicolon = true,
                "fn" | "impl" | "struct" | "trait" | "enum" | "mod" | "extern" => {
                    needs_semicolon = false;
                    is_fn = true;
                }
                _ => {}
            },
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace && !needs_semicolon =>
            {
                return;
            }
            _ => {}
        }
    }
}

/// Tells `use` items and the names of items from the rest.
fn other(text: TokenStream) -> Item {
    if let Ok(found) = syn::parse2::<syn::ItemUse>(text.clone()) {
        let leading = found.leading_colon;
        let mut imports = Vec::new();
        collect_imports(&found.tree, quote::quote!(#leading), &mut imports);
        return Item::Use(text, imports);
    }
    let name = item_name(text.clone());
    Item::Other(text, name)
}

fn collect_imports(tree: &UseTree, path: TokenStream, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(part) => {
            let ident = &part.ident;
            collect_imports(&part.tree, quote::quote!(#path #ident ::), found);
        }
        UseTree::Name(name) => found.push(Import {
            name: name.ident.clone(),
            original: name.ident.clone(),
            path,
        }),
        UseTree::Rename(name) => found.push(Import {
            name: name.rename.clone(),
            original: name.ident.clone(),
            path,
        }),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| collect_imports(tree, path.clone(), found)),
        UseTree::Glob(_) => {}
    }
}

/// The name behind `fn`, `struct`, `enum`, ...: the first word after the keyword of the item.
fn item_name(text: TokenStream) -> Option<Ident> {
    const KEYWORDS: [&str; 9] = [
        "fn", "struct", "enum", "union", "type", "trait", "static", "mod", "const",
    ];
    let parser = |input: ParseStream<'_>| {
        let _attrs = input.call(Attribute::parse_outer)?;
        let mut name = None;
        while let Ok(word) = input.call(Ident::parse_any) {
            if KEYWORDS.contains(&word.to_string().as_str()) {
                name = input.fork().call(Ident::parse_any).ok();
                if word != "const" {
                    break;
                }
            } else if input.peek(syn::token::Paren) {
                let _: TokenTree = input.parse()?;
            }
        }
        let _rest: TokenStream = input.parse()?;
        Ok(name)
    };
    parser.parse2(text).ok().flatten()
}

fn between(mut cursor: Cursor<'_>, end: Cursor<'_>) -> TokenStream {
    let mut text = TokenStream::new();
    while cursor != end {
        let Some((token, rest)) = cursor.token_tree() else {
            break;
        };
        text.extend([token]);
        cursor = rest;
    }
    text
}

impl Module {
    /// The stages, in source order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &RawStage> {
        self.items.iter().filter_map(|item| match item {
            Item::Stage(stage) => Some(&**stage),
            _ => None,
        })
    }

    /// The import that brings in `name`.
    pub(crate) fn import(&self, name: &str) -> Option<&Import> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Use(_, imports) => Some(imports),
                _ => None,
            })
            .flatten()
            .find(|import| plain(&import.name) == name)
    }

    /// The functions that are no stages.
    pub(crate) fn functions(&self) -> Vec<String> {
        let name = |item: &Item| match item {
            Item::Other(text, Some(name)) if crate::item::looks_like_fn(text) => Some(plain(name)),
            _ => None,
        };
        self.items.iter().filter_map(name).collect()
    }

    /// The item that is called `name` and is no stage.
    pub(crate) fn other(&self, name: &str) -> Option<&Ident> {
        self.items.iter().find_map(|item| match item {
            Item::Other(_, Some(ident)) if *ident == name => Some(ident),
            _ => None,
        })
    }
}
