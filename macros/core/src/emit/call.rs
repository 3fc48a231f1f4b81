//! One call of a stage by itself, for dry runs: what it gives goes to an outlet.

use pipewright_spec::model::{Gives, Kind, Takes};
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::flow::hygienic;
use crate::{
    signature::{Role, StageSig},
    stage::StageDef,
};

/// `impl rt::Call` or `impl rt::CallBatch`; a source has none.
pub(crate) fn call(def: &StageDef, sig: &StageSig) -> Option<TokenStream> {
    if def.kind == Kind::Source {
        return None;
    }
    let ident = &def.item.sig.ident;
    let (state, env) = (used(sig, Role::State, "state"), used(sig, Role::Env, "env"));
    if is_batch(sig) {
        let body = batch_body(def, sig);
        return Some(hygienic! {
            impl ::pipewright::__private::CallBatch for #ident {
                fn call(
                    xs: &mut ::pipewright::Batch<Self::In>,
                    #state: &mut Self::State,
                    #env: &Self::Env,
                    out: &mut ::pipewright::__private::Outlet<Self::Out, Self::Err>,
                ) {
                    #body
                }
            }
        });
    }
    let body = body(def, sig);
    let x = if sig.takes == Takes::ItemMut {
        hygienic!(mut x)
    } else {
        hygienic!(x)
    };
    Some(hygienic! {
        impl ::pipewright::__private::Call for #ident {
            fn call(
                #x: Self::In,
                #state: &mut Self::State,
                #env: &Self::Env,
                out: &mut ::pipewright::__private::Outlet<Self::Out, Self::Err>,
            ) {
                #body
            }
        }
    })
}

fn is_batch(sig: &StageSig) -> bool {
    matches!(sig.takes, Takes::Batch | Takes::Slice | Takes::SliceMut)
}

/// The name of a parameter, or `_` if the function has no use for it.
fn used(sig: &StageSig, role: Role, name: &str) -> TokenStream {
    match sig.params.contains(&role) {
        true => {
            let name = super::pipe::mixed(name);
            hygienic!(#name)
        }
        false => hygienic!(_),
    }
}

fn function(def: &StageDef, sig: &StageSig, item: TokenStream) -> TokenStream {
    let ident = &def.item.sig.ident;
    let args = sig.params.iter().map(|role| match role {
        Role::Item => item.clone(),
        Role::Emit => hygienic!(out.emit()),
        Role::State => hygienic!(state),
        Role::Env => hygienic!(env),
    });
    hygienic!(#ident(#(#args),*))
}

fn body(def: &StageDef, sig: &StageSig) -> TokenStream {
    let item = match sig.takes {
        Takes::ItemMut => hygienic!(&mut x),
        Takes::ItemRef => hygienic!(&x),
        _ => hygienic!(x),
    };
    let call = function(def, sig, item);
    let (waits, call) = match sig.is_async {
        Some(_) => (
            hygienic! {
                let ::core::option::Option::Some(x) = ::pipewright::__private::finished(#call, out) else {
                    return;
                };
            },
            hygienic!(x),
        ),
        None => (TokenStream::new(), call),
    };
    let given = given(def, sig, &call);
    hygienic!(#waits #given)
}

/// What happens to what the call gives.
fn given(def: &StageDef, sig: &StageSig, call: &TokenStream) -> TokenStream {
    let (ok, err) = (
        hygienic!(::core::result::Result::Ok),
        hygienic!(::core::result::Result::Err),
    );
    let (some, none) = (
        hygienic!(::core::option::Option::Some),
        hygienic!(::core::option::Option::None),
    );
    match sig.gives {
        Gives::One => hygienic!(out.send(#call);),
        Gives::Unit if sig.takes == Takes::ItemMut && def.kind == Kind::Stage => {
            hygienic!(#call; out.send(x);)
        }
        Gives::Unit if sig.is_async.is_some() => hygienic!(let () = #call; out.took();),
        Gives::Unit => hygienic!(#call; out.took();),
        Gives::Option => hygienic!(if let #some(x) = #call { out.send(x); }),
        Gives::Keep => hygienic!(if #call { out.send(x); }),
        // With a state, what an iterator gives leaves together, as what is put into an `Emit`.
        Gives::Many if sig.params.contains(&Role::State) => {
            hygienic!(let xs = #call; ::core::iter::Extend::extend(out.emit(), xs);)
        }
        Gives::Many => hygienic!(for x in #call { out.send(x); }),
        Gives::Emit => hygienic!(#call;),
        Gives::EmitResult => hygienic!(if let #err(x) = #call { out.fail(x); }),
        Gives::Result => hygienic!(match #call { #ok(x) => out.send(x), #err(x) => out.fail(x) }),
        Gives::ResultOption => hygienic! {
            match #call {
                #ok(#some(x)) => out.send(x),
                #ok(#none) => {}
                #err(x) => out.fail(x),
            }
        },
        Gives::UnitResult => {
            hygienic!(match #call { #ok(()) => out.took(), #err(x) => out.fail(x) })
        }
        Gives::Flow | Gives::Splittable | Gives::Verdicts | Gives::Judged => TokenStream::new(),
    }
}

fn batch_body(def: &StageDef, sig: &StageSig) -> TokenStream {
    let call = function(def, sig, hygienic!(xs));
    let rt = quote_spanned!(Span::mixed_site()=> ::pipewright::__private);
    let (ok, err) = (
        hygienic!(::core::result::Result::Ok),
        hygienic!(::core::result::Result::Err),
    );
    if sig.gives == Gives::Verdicts {
        return hygienic! {
            let n = xs.len();
            for (at, verdict) in #rt::one_for_each(n, #call).into_iter().enumerate() {
                out.is_of(at);
                match verdict { #ok(x) => out.send(x), #err(x) => out.fail(x) }
            }
        };
    }
    if sig.gives == Gives::Judged {
        let passed = match def.kind {
            Kind::Sink => hygienic!({
                ::core::mem::drop(x);
                out.took()
            }),
            _ => hygienic!(out.send(x)),
        };
        return hygienic! {
            let verdicts = #call;
            let verdicts = #rt::one_for_each(xs.len(), verdicts);
            for (at, (x, verdict)) in xs.drain().zip(verdicts).enumerate() {
                out.is_of(at);
                match verdict { #ok(()) => #passed, #err(x) => out.fail(x) }
            }
        };
    }
    if def.kind == Kind::Sink {
        return hygienic! {
            let n = xs.len();
            #call;
            out.took_many(n);
        };
    }
    match sig.gives {
        Gives::Emit => hygienic!(#call;),
        _ => hygienic! {
            #call;
            for x in xs.drain() {
                out.send(x);
            }
        },
    }
}
