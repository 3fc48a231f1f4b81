//! The macro beside a stage that tells its signature to a pipeline in another module. Macros expand before
//! types are known, so this is the only way to look at an imported function.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};

use crate::stage::StageDef;

/// A macro that hands the head of the stage on, see [`crate::import`].
///
/// `macro_rules!` names are found by text order, so the name is unique, and a `use` gives it its path.
pub(crate) fn companion(def: &StageDef, broken: bool) -> TokenStream {
    let name = def.name();
    let (line, column) = def.line_column();
    let unique = format_ident!("__pipewright_{name}_{line}_{column}");
    let known = format_ident!("__stage_{name}");
    let cfgs = def.item.cfgs();
    let told = told(def, broken);
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        macro_rules! #unique {
            ([ $($next:tt)* ] $( [ $($later:tt)* ] )* ; $($told:tt)*) => {
                $($next)* ! { $( [ $($later)* ] )* ; $($told)* { #told } }
            };
        }
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use #unique as #known;
    }
}

/// The attribute and the head of the function: `#[stage(from = ingest)] fn decode(frame: Frame) -> Tx {}`.
pub(crate) fn told(def: &StageDef, broken: bool) -> TokenStream {
    let kind = quote::format_ident!("{}", def.kind.name(), span = def.attr);
    let args = &def.text;
    let (vis, sig) = (&def.item.vis, def.item.sig.to_token_stream());
    let broken = broken.then(|| quote!(#[broken]));
    quote!(#[#kind(#args)] #broken #vis #sig {})
}
