//! Looking at types as they are written: last path segments, generic arguments, borrowed parts.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, PathArguments, Type, TypeParamBound,
    spanned::Spanned,
};

/// Takes away parentheses and the invisible groups of `macro_rules!`.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The generic types of `ty` if the last segment of its path is `name`: `[T]` for `Option<T>`.
pub(crate) fn generics_of<'t>(ty: &'t Type, name: &str) -> Option<Vec<&'t Type>> {
    let Type::Path(path) = bare(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    if last.ident != name {
        return None;
    }
    match &last.arguments {
        PathArguments::None => Some(Vec::new()),
        PathArguments::AngleBracketed(args) => Some(type_arguments(args)),
        PathArguments::Parenthesized(_) => None,
    }
}

/// The one generic type of `name<T>`.
pub(crate) fn only_generic<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    match generics_of(ty, name)?.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn type_arguments(args: &AngleBracketedGenericArguments) -> Vec<&Type> {
    args.args
        .iter()
        .filter_map(|arg| match arg {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect()
}

/// `T` of `impl Trait<Item = T>`; `Err` if the trait is there and its item is not.
pub(crate) fn impl_item<'t>(ty: &'t Type, name: &str) -> Option<Result<&'t Type, Span>> {
    let Type::ImplTrait(opaque) = bare(ty) else {
        return None;
    };
    let segment = opaque.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|s| s.ident == name),
        _ => None,
    })?;
    let item = match &segment.arguments {
        PathArguments::AngleBracketed(args) => args.args.iter().find_map(|arg| match arg {
            GenericArgument::AssocType(assoc) if assoc.ident == "Item" => Some(&assoc.ty),
            _ => None,
        }),
        _ => None,
    };
    Some(item.ok_or(segment.ident.span()))
}

/// `true` for `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// `true` if the last segment is `name` and has no arguments.
pub(crate) fn is_plain(ty: &Type, name: &str) -> bool {
    generics_of(ty, name).is_some_and(|args| args.is_empty())
}

/// The first borrowed part of a type that an item must own: a lifetime other than `'static`, or a reference
/// without one. Function pointers and `Fn` traits may borrow in their own parameters.
pub(crate) fn borrowed_part(ty: &Type) -> Option<Span> {
    borrowed_in(ty.to_token_stream())
}

fn borrowed_in(tokens: TokenStream) -> Option<Span> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Ident(word) if is_fn_like(&word.to_string()) => return None,
            TokenTree::Ident(word) if word == "for" => return None,
            TokenTree::Punct(p) if p.as_char() == '&' => match lifetime_at(&tokens, at) {
                Some(name) if name == "static" => at += 2,
                _ => return Some(p.span()),
            },
            TokenTree::Punct(p) if p.as_char() == '\'' => match tokens.get(at) {
                Some(TokenTree::Ident(name)) if name == "static" => at += 1,
                _ => return Some(p.span()),
            },
            TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => {
                if let Some(found) = borrowed_in(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_fn_like(word: &str) -> bool {
    matches!(word, "fn" | "Fn" | "FnMut" | "FnOnce")
}

fn lifetime_at(tokens: &[TokenTree], at: usize) -> Option<String> {
    match (tokens.get(at), tokens.get(at + 1)) {
        (Some(TokenTree::Punct(p)), Some(TokenTree::Ident(name))) if p.as_char() == '\'' => {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// A type as a user reads it: `Result<Tx, Error>` instead of `Result < Tx , Error >`.
pub(crate) fn shown(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    [
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :: ", "::"),
        ("& ", "&"),
        ("' ", "'"),
        (" <", "<"),
        (":: ", "::"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
}

/// The first token of a type.
pub(crate) fn span_of(ty: &Type) -> Span {
    ty.span()
}
