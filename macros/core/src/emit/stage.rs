//! What goes beside a stage function: a marker type of the same name, and what the runtime must know about it.

use pipewright_spec::model::StateKind;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Expr, Ident, Type, parse_quote, spanned::Spanned};

use super::flow::hygienic;
use crate::{signature::StageSig, stage::StageDef};

/// The function, its marker and the marker's traits. `pipeline` and `env` are the name and the environment of the
/// pipeline that the stage stands in. A `broken` stage keeps its function and its marker, so that no name is missing elsewhere.
pub(crate) fn stage(
    def: &StageDef,
    pipeline: Option<&str>,
    env: Option<&Type>,
    broken: bool,
) -> TokenStream {
    let function = (!def.rustc_refuses()).then(|| def.function(pipeline));
    let cfgs = def.item.cfgs();
    let marker = marker(def, &cfgs);
    let cfgs = std::iter::repeat(quote!(#(#cfgs)*));
    let traits = match &def.sig {
        Some(sig) if !broken => traits(def, sig, env),
        _ => vec![broken_stage_fn(&def.item.sig.ident)],
    };
    let needs_async = def.sig.as_ref().filter(|_| !broken).and_then(needs_async);
    quote! {
        #function
        #marker
        #needs_async
        #(#cfgs #[automatically_derived] #traits)*
    }
}

/// The marker: a type with the name of the function, which lives in another namespace.
fn marker(def: &StageDef, cfgs: &[&Attribute]) -> TokenStream {
    let (vis, ident) = (&def.item.vis, &def.item.sig.ident);
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, missing_debug_implementations, unreachable_pub, dead_code)]
        #vis enum #ident {}
    }
}

fn traits(def: &StageDef, sig: &StageSig, env: Option<&Type>) -> Vec<TokenStream> {
    let ident = &def.item.sig.ident;
    let env = sig.env.as_ref().or(env);
    let mut traits = vec![stage_fn(ident, sig)];
    traits.extend(init(def, sig, env));
    traits.extend(keyed(def, sig));
    traits.extend(looks_ahead(def, sig, env));
    traits.extend(super::call::call(def, sig));
    traits
}

/// Asks the runtime whether it has async stages, which is a matter of its features.
fn needs_async(sig: &StageSig) -> Option<TokenStream> {
    let span = sig.is_async?;
    Some(quote_spanned!(span=> ::pipewright::__needs_async!();))
}

fn stage_fn(ident: &Ident, sig: &StageSig) -> TokenStream {
    let unit: Type = parse_quote!(());
    let infallible: Type = parse_quote!(::core::convert::Infallible);
    let (item, out) = (&sig.item, &sig.out);
    let err = sig.err.as_ref().unwrap_or(&infallible);
    let state = sig.state.as_ref().unwrap_or(&unit);
    let env = sig.env.as_ref().unwrap_or(&unit);
    let name = crate::item::plain(ident);
    // A type that is less visible than the stage is said where it is written.
    let types = [
        ("In", item),
        ("Out", out),
        ("Err", err),
        ("State", state),
        ("Env", env),
    ]
    .map(|(name, ty)| {
        let name = Ident::new(name, ty.span());
        quote_spanned!(ty.span()=> type #name = #ty;)
    });
    quote! {
        impl ::pipewright::__private::StageFn for #ident {
            #(#types)*
            const NAME: &'static str = #name;
        }
    }
}

/// For a stage with an error: nothing about its types is sure.
fn broken_stage_fn(ident: &Ident) -> TokenStream {
    let name = crate::item::plain(ident);
    quote! {
        impl ::pipewright::__private::StageFn for #ident {
            type In = ();
            type Out = ();
            type Err = ::core::convert::Infallible;
            type State = ();
            type Env = ();
            const NAME: &'static str = #name;
        }
    }
}

/// How the state is made.
fn init(def: &StageDef, sig: &StageSig, env: Option<&Type>) -> Option<TokenStream> {
    let state = sig.state.as_ref()?;
    let ident = &def.item.sig.ident;
    let (generics, env) = env_or_any(env);
    let make = match &def.args.state {
        Some(path) => {
            let name = hygienic!(env);
            quote_spanned!(path.span()=> ::pipewright::__private::make_state::<Self, #env, _, _>(#path, #name))
        }
        None => {
            let first = quote_spanned!(state.span()=> <#state as ::pipewright::__private::WorkerState>::first());
            quote!(::core::result::Result::Ok(#first))
        }
    };
    let env_name = if def.args.state.is_some() {
        hygienic!(env)
    } else {
        hygienic!(_)
    };
    Some(quote! {
        impl #generics ::pipewright::__private::Init<#env> for #ident {
            fn init(#env_name: &#env) -> ::core::result::Result<#state, ::pipewright::__private::InitError> {
                #make
            }
        }
    })
}

/// `<E>` and `E` for a stage that runs in every environment.
fn env_or_any(env: Option<&Type>) -> (TokenStream, TokenStream) {
    match env {
        Some(env) => (TokenStream::new(), quote!(#env)),
        None => (quote!(<E>), quote!(E)),
    }
}

/// The key of an item, for keyed state.
fn keyed(def: &StageDef, sig: &StageSig) -> Option<TokenStream> {
    if def.state() != StateKind::Keyed {
        return None;
    }
    let key = def.args.key.as_ref()?;
    let (ident, item) = (&def.item.sig.ident, &sig.item);
    // The attribute may be written in another macro than the key, and then their own names are not the same.
    let name = hygienic!(item);
    let of = quote_spanned!(key.span()=> ::pipewright::__private::key_of::<Self, _>(#name, #key).owned());
    let bound = quote_spanned!(key.span()=> impl ::pipewright::__private::StageKey + use<>);
    Some(hygienic! {
        impl ::pipewright::__private::Keyed for #ident {
            fn key(#name: &#item) -> #bound {
                #[allow(unused_imports)]
                use ::pipewright::__private::OwnedKey as _;
                #of
            }
        }
    })
}

/// How the memory that an item leads to is found, for `prefetch`.
fn looks_ahead(def: &StageDef, sig: &StageSig, env: Option<&Type>) -> Option<TokenStream> {
    let code = def.args.prefetch.as_ref()?;
    let (ident, item) = (&def.item.sig.ident, &sig.item);
    let (generics, env) = env_or_any(env);
    let span = code.span().resolved_at(Span::mixed_site());
    let found = match code {
        Expr::Closure(closure) if closure.inputs.len() == 1 => {
            quote_spanned!(span=> ::pipewright::__private::found_of(item, #code))
        }
        Expr::Closure(_) => {
            quote_spanned!(span=> ::pipewright::__private::found_in(item, env, #code))
        }
        path => quote_spanned!(span=> ::pipewright::__private::found_by(item, env, #path)),
    };
    Some(hygienic! {
        impl #generics ::pipewright::__private::LooksAhead<#env> for #ident {
            #[inline(always)]
            #[allow(unused_variables)]
            fn ask(item: &#item, env: &#env) {
                ::pipewright::__private::prefetch(#found);
            }
        }
    })
}
