//! A function item of which only the head is understood: attributes, visibility and signature are parsed,
//! the body stays as tokens. Half-typed bodies therefore still expand, and nothing of the user's text changes.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Signature, Token, Visibility,
    buffer::Cursor,
    parse::{Parse, ParseStream},
};

/// A function whose body was not looked into.
#[derive(Clone)]
pub(crate) struct MaybeItemFn {
    /// Attributes that stay on the function.
    pub(crate) attrs: Vec<Attribute>,
    /// Visibility, copied to the marker.
    pub(crate) vis: Visibility,
    /// Everything from `fn` to the return type.
    pub(crate) sig: Signature,
    /// The function as written, without its attributes.
    text: TokenStream,
}

impl Parse for MaybeItemFn {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let start = input.cursor();
        let vis: Visibility = input.parse()?;
        let sig: Signature = input.parse()?;
        let _body: TokenTree = input.parse()?;
        let text = tokens_between(start, input.cursor());
        Ok(MaybeItemFn {
            attrs,
            vis,
            sig,
            text,
        })
    }
}

impl MaybeItemFn {
    /// The name of the function.
    pub(crate) fn name(&self) -> String {
        plain(&self.sig.ident)
    }

    /// Where an error about the whole stage is shown.
    pub(crate) fn span(&self) -> Span {
        self.sig.ident.span()
    }

    /// `#[cfg]` attributes, which everything that is generated for this function repeats.
    pub(crate) fn cfgs(&self) -> Vec<&Attribute> {
        self.attrs
            .iter()
            .filter(|a| a.path().is_ident("cfg"))
            .collect()
    }

    /// The function with one paragraph more of documentation.
    pub(crate) fn with_doc(&self, doc: &str) -> TokenStream {
        let (attrs, text) = (&self.attrs, &self.text);
        let documented = attrs.iter().any(|a| a.path().is_ident("doc"));
        let gap = documented.then(|| quote!(#[doc = ""]));
        quote!(#(#attrs)* #gap #[doc = #doc] #text)
    }
}

impl ToTokens for MaybeItemFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attr in &self.attrs {
            attr.to_tokens(tokens);
        }
        tokens.extend(self.text.clone());
    }
}

/// An identifier without `r#`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// The tokens from `cursor` up to `end`, which lies behind it.
fn tokens_between(mut cursor: Cursor<'_>, end: Cursor<'_>) -> TokenStream {
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

/// What a macro expects to stand on when it does not stand on a function.
#[derive(Default)]
pub(crate) struct OtherItem {
    /// `struct`, `impl`, ...
    pub(crate) keyword: Option<syn::Ident>,
}

impl OtherItem {
    /// Finds the keyword of any item.
    pub(crate) fn of(item: TokenStream) -> OtherItem {
        const KEYWORDS: [&str; 13] = [
            "struct",
            "enum",
            "union",
            "impl",
            "trait",
            "mod",
            "use",
            "static",
            "type",
            "macro_rules",
            "extern",
            "const",
            "let",
        ];
        let keyword = item.into_iter().find_map(|token| match token {
            TokenTree::Ident(word) if KEYWORDS.contains(&word.to_string().as_str()) => Some(word),
            _ => None,
        });
        OtherItem { keyword }
    }
}

impl OtherItem {
    /// "an `impl`".
    pub(crate) fn with_article(keyword: &syn::Ident) -> String {
        let word = keyword.to_string();
        let article = if word.starts_with(['a', 'e', 'i', 'o']) {
            "an"
        } else {
            "a"
        };
        format!("{article} `{word}`")
    }
}

/// `true` if the tokens hold a `fn` outside of any group: a function, or what is going to be one.
pub(crate) fn looks_like_fn(item: &TokenStream) -> bool {
    item.clone()
        .into_iter()
        .any(|t| matches!(&t, TokenTree::Ident(word) if word == "fn"))
}

/// Tokens that stand on a `mod`.
pub(crate) struct MaybeMod {
    /// Attributes of the module.
    pub(crate) attrs: Vec<Attribute>,
    /// Visibility of the module.
    pub(crate) vis: Visibility,
    /// The `mod` keyword.
    pub(crate) keyword: Token![mod],
    /// Name of the module, and of the pipeline.
    pub(crate) ident: syn::Ident,
    /// `None` for `mod name;`.
    pub(crate) body: Option<TokenStream>,
    /// Place of the body or of the semicolon.
    pub(crate) end: Span,
}

impl Parse for MaybeMod {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let keyword = input.parse()?;
        let ident = input.parse()?;
        let last: TokenTree = input.parse()?;
        let (body, end) = match &last {
            TokenTree::Group(group) => (Some(group.stream()), group.span()),
            other => (None, other.span()),
        };
        Ok(MaybeMod {
            attrs,
            vis,
            keyword,
            ident,
            body,
            end,
        })
    }
}
