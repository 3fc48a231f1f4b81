//! What goes into the module of a pipeline: its type, its constructor, and everything that the runtime needs.

use pipewright_spec::{
    draw,
    model::{Gives, Takes},
    plan::INPUT,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    calls,
    flow::{Mode, hygienic, route_type},
    graph::{Glue, Loops},
    info,
    pipe::{Node, Output, Pipe},
    segment,
};
use crate::{merge::Merged, pipeline::Head, stage::StageDef};

/// The generated items, and the drawing of the pipeline.
pub(crate) fn pipeline(merged: &Merged, defs: &[StageDef], head: &Head) -> (TokenStream, String) {
    let plan = pipewright_spec::plan(&merged.model);
    let drawing = draw::text(&merged.model, &plan);
    let literal = head.literal.as_ref().map(syn::LitStr::span);
    let pipe = Pipe::new(
        &merged.model,
        &plan,
        defs,
        &merged.functions,
        head.args.env.as_ref(),
        literal,
    );
    let doc = drawn(&drawing);
    let Some(pipe) = pipe else {
        return (super::stub(head.args.env.as_ref(), defs, &[]), doc);
    };
    let face = face(&pipe.model.name, &doc);
    let hidden = hidden(&pipe, &drawing);
    (quote!(#face #hidden), doc)
}

/// What users see.
fn face(name: &str, doc: &str) -> TokenStream {
    let (type_doc, fn_doc) = (
        format!(" The pipeline `{name}`; see [`pipeline`].\n{doc}"),
        format!(" Starts describing a run of `{name}`.\n{doc}"),
    );
    quote! {
        #[doc = #type_doc]
        #[derive(Debug)]
        pub struct Pipeline;

        #[doc = #fn_doc]
        pub fn pipeline() -> ::pipewright::Builder<Pipeline> {
            ::pipewright::Builder::new()
        }
    }
}

/// The drawing as a paragraph of documentation.
fn drawn(drawing: &str) -> String {
    if drawing.trim().is_empty() {
        return String::new();
    }
    format!("\n```text\n{}\n```", drawing.trim_end())
}

fn hidden(pipe: &Pipe<'_>, drawing: &str) -> TokenStream {
    let rt = pipe.rt();
    let loops = Loops {
        segments: (0..pipe.plan.segments.len())
            .map(|at| segment::emit(pipe, Mode::Segment(at)))
            .collect(),
        solo: segment::emit(pipe, Mode::Solo),
    };
    let glue = Glue {
        pipe,
        loops: &loops,
    };
    let (ids, topology) = (info::ids(pipe), info::topology(pipe, drawing));
    let (blueprint, answers) = (blueprint(pipe, &glue), calls::answers(pipe));
    let stage_of = stage_of(pipe);
    let aliases = aliases(pipe);
    let classes = super::guards::classes(pipe);
    let checks = checks(pipe);
    let graph = glue.emit();
    let segments = loops.segments.iter().map(|one| &one.tokens);
    let solo = (!super::pinned::is_never_alone(pipe)).then_some(&loops.solo.tokens);
    let topology_name = pipe.item("TOPOLOGY");
    hygienic! {
        const _: () = {
            use ::core::{marker::{Send, Sync}, ops::Fn, iter::Iterator, option::Option::{None, Some}, result::Result::{self, Err, Ok}};
            use ::pipewright::__private as #rt;

            #ids
            static #topology_name: #rt::TopologyInfo = #topology;
            #aliases
            #classes
            #checks
            #blueprint
            #answers
            #stage_of
            #graph
            #(#segments)*
            #solo
        };
    }
}

fn blueprint(pipe: &Pipe<'_>, glue: &Glue<'_, '_>) -> TokenStream {
    let (rt, topology) = (pipe.rt(), pipe.item("TOPOLOGY"));
    let (env, input, open) = (pipe.env_type(), segment::input_type(pipe), glue.open());
    let queued = calls::queued(pipe);
    let (dry, shared) = (super::dry::dry(pipe), shared(pipe));
    let reads = |stage: &usize| pipe.inputs(*stage).iter().any(|read| read.stage == INPUT);
    let crossing = match (0..pipe.nodes.len()).find(reads) {
        Some(reader) => pipe.crossing(reader),
        None => hygienic!(#rt::crosses_threads::<#input>()),
    };
    let crossing = match pipe.model.options.reply {
        Some(_) => calls::crossing(&crossing),
        None => crossing,
    };
    let shed_key = calls::shed_key(pipe, &queued);
    let env_name = if segment::mentions(&open, "common") {
        hygienic!(common)
    } else {
        hygienic!(_)
    };
    hygienic! {
        impl #rt::Blueprint for Pipeline {
            type Env = #env;
            type Input = #input;
            type Queued = #queued;
            const SHARED: #rt::Shareable<#env> = #shared;
            const CROSSING: #rt::Crossing<#queued> = #crossing;
            const TOPOLOGY: &'static #rt::TopologyInfo = &#topology;
            #shed_key

            fn open<'e>(
                #env_name: &'e #rt::Common<#env>,
                site: &#rt::Site<'_, #queued>,
            ) -> Result<impl #rt::Graph + 'e, #rt::InitError> {
                #open
            }

            #dry
        }
    }
}

/// Makes `metrics.stage::<decode>()` typed.
fn stage_of(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let mut seen = Vec::new();
    let mut tokens = TokenStream::new();
    for node in &pipe.nodes {
        if !seen.contains(&&node.ident) {
            let (ident, id) = (&node.ident, &node.id);
            tokens.extend(hygienic! {
                impl #rt::StageOf<Pipeline> for #ident {
                    const ID: u16 = #id;
                }
            });
            seen.push(&node.ident);
        }
    }
    tokens
}

/// Names for the types that are matched by variant, and the marker of the push input where several stages read it.
fn aliases(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    let mut tokens = TokenStream::new();
    for stage in (0..pipe.nodes.len()).filter(|stage| !pipe.variants(*stage).is_empty()) {
        let (name, out) = (route_type(pipe, stage), pipe.projection(stage, "Out"));
        tokens.extend(hygienic!(type #name = #out;));
    }
    if pipe.model.reads_input() {
        let (input, item) = (pipe.item("input"), segment::input_type(pipe));
        tokens.extend(hygienic! {
            #[allow(non_camel_case_types, dead_code)]
            enum #input {}
            impl #rt::StageFn for #input {
                type In = ();
                type Out = #item;
                type Err = ::core::convert::Infallible;
                type State = ();
                type Env = ();
                const NAME: &'static str = "input";
            }
        });
    }
    tokens
}

/// Says in words that workers cannot share the environment.
fn shared(pipe: &Pipe<'_>) -> TokenStream {
    let (rt, env) = (pipe.rt(), pipe.env_type());
    let span = pipe
        .env
        .map_or_else(Span::mixed_site, syn::spanned::Spanned::span);
    quote_spanned!(span.resolved_at(Span::mixed_site())=> #rt::shared_by_workers::<#env>())
}

/// `false` for a stage whose items were those of another stage, where it is said already if they cannot cross threads.
fn brings_type(pipe: &Pipe<'_>, stage: usize) -> bool {
    let inputs = pipe.inputs(stage);
    !inputs.is_empty() && !inputs.iter().all(|read| passes_on(pipe, *read))
}

/// `true` for the output of a stage that sends the items that it takes.
fn passes_on(pipe: &Pipe<'_>, output: Output<'_>) -> bool {
    let sends = |node: &Node<'_>| {
        let gives = node.sig.gives;
        !matches!(node.sig.takes, Takes::Nothing | Takes::Item)
            && !matches!(gives, Gives::Emit | Gives::EmitResult)
    };
    output.door.is_none() && pipe.nodes.get(output.stage).is_some_and(sends)
}

/// Says in words which items cannot cross threads.
fn checks(pipe: &Pipe<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    for stage in (0..pipe.nodes.len()).filter(|stage| brings_type(pipe, *stage)) {
        let crossing = pipe.crossing(stage);
        tokens.extend(quote!(#crossing;));
    }
    tokens
}
