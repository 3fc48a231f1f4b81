//! What stands beside errors: everything that other code may name, with the right types and nothing in it, so
//! that one mistake gives one error and editors keep working.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Ident, Type};

use super::pipeline::face;
use crate::stage::StageDef;

/// `Pipeline`, `pipeline()` and a `Blueprint` that cannot be opened.
pub(crate) fn stub(env: Option<&Type>, defs: &[StageDef]) -> TokenStream {
    let mut stages: Vec<&Ident> = Vec::new();
    for def in defs {
        if !stages.contains(&&def.item.sig.ident) {
            stages.push(&def.item.sig.ident);
        }
    }
    let env = env.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let face = face("pipeline", "");
    quote! {
        #face

        const _: () = {
            use ::pipewright::__private as rt;

            impl rt::Blueprint for Pipeline {
                type Env = #env;
                type Input = rt::NoInput;
                const TOPOLOGY: &'static rt::TopologyInfo = &rt::TopologyInfo {
                    name: "",
                    stages: &[],
                    links: &[],
                    sources: &[],
                    workers: ::core::option::Option::None,
                    quantum_ns: ::core::option::Option::None,
                    drawing: "",
                };

                fn open<'e>(
                    _: &'e #env,
                    _: &rt::Site<'_, rt::NoInput>,
                ) -> ::core::result::Result<impl rt::Graph + 'e, rt::InitError> {
                    rt::never()
                }

                fn dry(_: &mut rt::DryAssembly<Self>) {}
            }
            #(impl rt::StageOf<Pipeline> for #stages { const ID: u16 = 0; })*
        };
    }
}
