//! What stands beside errors: everything that other code may name, with the right types and nothing in it, so
//! that one mistake gives one error and editors keep working.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Ident, Type};

use crate::stage::StageDef;

/// `Pipeline`, `pipeline()` and a `Blueprint` that cannot be opened. The names in `reserved` are the user's already.
pub(crate) fn stub(env: Option<&Type>, defs: &[StageDef], reserved: &[String]) -> TokenStream {
    let mut stages: Vec<&Ident> = Vec::new();
    for def in defs {
        if !stages.contains(&&def.item.sig.ident) {
            stages.push(&def.item.sig.ident);
        }
    }
    let env = env.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let is_free = |name: &str| reserved.iter().all(|taken| taken != name);
    let pipeline = format_ident!(
        "{}",
        if is_free("Pipeline") {
            "Pipeline"
        } else {
            "__Pipeline"
        }
    );
    let constructor = is_free("pipeline").then(|| {
        quote! {
            /// Does not compile.
            pub fn pipeline() -> ::pipewright::Builder<#pipeline> {
                ::pipewright::Builder::new()
            }
        }
    });
    quote! {
        /// Does not compile.
        #[derive(Debug)]
        pub struct #pipeline;

        #constructor

        const _: () = {
            use ::pipewright::__private as rt;

            impl rt::Blueprint for #pipeline {
                type Env = #env;
                type Input = rt::NoInput;
                type Queued = rt::NoInput;
                const SHARED: rt::Shareable<#env> = rt::shared_by_workers::<#env>();
                const CROSSING: rt::Crossing<rt::NoInput> = rt::crosses_threads::<rt::NoInput>();
                const TOPOLOGY: &'static rt::TopologyInfo = &rt::TopologyInfo::EMPTY;

                fn open<'e>(
                    _: &'e rt::Common<#env>,
                    _: &rt::Site<'_, rt::NoInput>,
                ) -> ::core::result::Result<impl rt::Graph + 'e, rt::InitError> {
                    rt::never()
                }

                fn dry(_: &mut rt::DryAssembly<Self>) {}
            }
            #(impl rt::StageOf<#pipeline> for #stages { const ID: u16 = 0; })*
        };
    }
}
