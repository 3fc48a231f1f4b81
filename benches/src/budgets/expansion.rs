//! What expanding a pipeline takes, in this process.

use std::{hint::black_box, time::Instant};

use pipewright_macros_core::expand_pipeline;
use proc_macro2::TokenStream;

use super::{Plan, Reading, compile::module, nanoseconds};

/// Milliseconds a stage. Outside of the compiler tokens are made by `proc_macro2` itself.
pub(super) fn expansion(plan: &Plan) -> Vec<Reading> {
    let of = |key, stages: usize| {
        let tokens: TokenStream = module(stages).parse().expect("it is Rust");
        let once = || {
            let begun = Instant::now();
            let expanded = expand_pipeline(TokenStream::new(), tokens.clone(), &|_: &str, _| {
                Err("it has no file".to_owned())
            });
            let time = nanoseconds(begun.elapsed()) / 1e6 / stages as f64;
            let text = black_box(expanded).to_string();
            assert!(!text.contains("compile_error"), "{text}");
            time
        };
        Reading::new(key, plan.rounds(once))
    };
    vec![of("expansion.10", 10), of("expansion.20", 20)]
}
