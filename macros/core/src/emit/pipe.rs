//! A checked pipeline with everything that the emitter asks for: names that collide with nothing, and who reads
//! what.

use std::collections::HashSet;

use pipewright_spec::{
    model::{DIVERTED, ERR, Gives, Kind, Model, StateKind, Takes},
    plan::{INPUT, LinkKind, Plan},
};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;

use super::{
    calls::{self, Calls},
    fields::Names,
};
use crate::{item::plain, place::Place, signature::StageSig, stage::StageDef};

/// A pipeline, ready to be emitted.
pub(crate) struct Pipe<'p> {
    pub(crate) model: &'p Model<Place>,
    pub(crate) plan: &'p Plan,
    pub(crate) nodes: Vec<Node<'p>>,
    pub(crate) env: Option<&'p Type>,
    /// Where a RON pipeline names its file; stands for places inside of it.
    pub(crate) literal: Option<Span>,
    /// The names of fields.
    pub(crate) fields: Names,
    /// The way of calls.
    pub(crate) calls: Calls,
    taken: HashSet<String>,
}

/// A stage of the pipeline.
pub(crate) struct Node<'p> {
    /// Its name.
    pub(crate) name: String,
    /// The function, and its marker.
    pub(crate) ident: Ident,
    /// The constant that holds its number.
    pub(crate) id: Ident,
    /// The name of fields that belong to it.
    pub(crate) field: Ident,
    /// The function and its attribute.
    pub(crate) def: &'p StageDef,
    /// What the function's head says.
    pub(crate) sig: &'p StageSig,
    /// How it holds state.
    pub(crate) state: StateKind,
}

/// An output that a stage reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Output<'p> {
    /// The stage; [`INPUT`] for the push input.
    pub(crate) stage: usize,
    /// The variant or `Err`.
    pub(crate) door: Option<&'p str>,
}

/// A reader of an output.
pub(crate) struct Reader {
    /// The stage that reads.
    pub(crate) stage: usize,
    /// Where its `from` names the stage.
    pub(crate) from: Span,
}

impl<'p> Pipe<'p> {
    /// Gives everything its name. `None` if a function's head could not be read, which was an error before.
    pub(crate) fn new(
        model: &'p Model<Place>,
        plan: &'p Plan,
        defs: &'p [StageDef],
        functions: &[Option<usize>],
        env: Option<&'p Type>,
        literal: Option<Span>,
    ) -> Option<Pipe<'p>> {
        let mut taken = words_of(env);
        taken.extend(defs.iter().map(StageDef::name));
        let mut nodes = Vec::new();
        let mut ids = HashSet::new();
        let mut fields = HashSet::from(["env".to_owned()]);
        for (stage, function) in model.stages.iter().zip(functions) {
            let def = defs.get((*function)?)?;
            let id = fresh(&stage.name.text.to_uppercase(), &mut ids);
            nodes.push(Node {
                name: stage.name.text.clone(),
                ident: def.item.sig.ident.clone(),
                id: mixed(&id),
                field: mixed(&fresh(&stage.name.text, &mut fields)),
                def,
                sig: def.sig.as_ref()?,
                state: def.state(),
            });
        }
        taken.extend(ids);
        let names: Vec<&str> = model.stages.iter().map(|stage| &*stage.name.text).collect();
        let fields = Names::new(&names);
        let calls = Calls::new(model, literal);
        Some(Pipe {
            model,
            plan,
            nodes,
            env,
            literal,
            fields,
            calls,
            taken,
        })
    }

    /// A name for a generated item that nothing of the user's has.
    pub(crate) fn item(&self, name: impl AsRef<str>) -> Ident {
        let mut taken = self.taken.clone();
        mixed(&fresh(name.as_ref(), &mut taken))
    }

    /// The type of the environment.
    pub(crate) fn env_type(&self) -> TokenStream {
        self.env
            .map_or_else(|| quote!(()), ToTokens::to_token_stream)
    }

    /// Who reads an output, in the order of the stages.
    pub(crate) fn readers(&self, output: Output<'_>) -> Vec<Reader> {
        let mut readers = Vec::new();
        for (at, stage) in self.model.stages.iter().enumerate() {
            for door in &stage.from {
                let read = Output {
                    stage: self.producer(&door.stage.text),
                    door: door.door.as_ref().map(|d| &*d.text),
                };
                if read == output {
                    let place = |place: &Place| {
                        place
                            .span()
                            .or(self.literal)
                            .unwrap_or_else(Span::call_site)
                    };
                    readers.push(Reader {
                        stage: at,
                        from: place(&door.stage.place),
                    });
                }
            }
        }
        readers
    }

    /// What a stage reads, each output once.
    pub(crate) fn inputs(&self, stage: usize) -> Vec<Output<'p>> {
        let mut inputs = Vec::new();
        for door in &self.model.stages[stage].from {
            let read = Output {
                stage: self.producer(&door.stage.text),
                door: door.door.as_ref().map(|d| &*d.text),
            };
            if !inputs.contains(&read) {
                inputs.push(read);
            }
        }
        inputs
    }

    fn producer(&self, name: &str) -> usize {
        self.model.find(name).unwrap_or(INPUT)
    }

    /// The variants of a stage that somebody reads, in the order in which they are first read.
    pub(crate) fn variants(&self, stage: usize) -> Vec<(&'p str, Span)> {
        let (name, fallible) = (&self.nodes[stage].name, self.nodes[stage].fallible());
        let diverts = self.model.stages[stage].diverts();
        let is_side = |door: &str| (fallible && door == ERR) || (diverts && door == DIVERTED);
        let readers = self.model.stages.iter().flat_map(|reader| &reader.from);
        let read = readers
            .filter(|door| door.stage.text == *name)
            .filter_map(|door| door.door.as_ref());
        let mut found: Vec<(&str, Span)> = Vec::new();
        for door in read.filter(|door| !is_side(&door.text)) {
            if !found.iter().any(|(known, _)| *known == door.text) {
                let span = door
                    .place
                    .span()
                    .or(self.literal)
                    .unwrap_or_else(Span::call_site);
                found.push((&door.text, span));
            }
        }
        found
    }

    /// Every output that somebody reads, each once.
    pub(crate) fn outputs(&self) -> Vec<Output<'p>> {
        let mut outputs = Vec::new();
        for output in (0..self.nodes.len()).flat_map(|stage| self.inputs(stage)) {
            if !outputs.contains(&output) {
                outputs.push(output);
            }
        }
        outputs
    }

    /// The link that a stage heads, if it heads one.
    pub(crate) fn link_to(&self, stage: usize) -> Option<usize> {
        self.plan.links.iter().position(|link| link.to == stage)
    }

    /// The type of what a stage takes: `<decode as rt::StageFn>::In`.
    pub(crate) fn projection(&self, stage: usize, of: &str) -> TokenStream {
        let ident = &self.nodes[stage].ident;
        let (rt, of) = (self.rt(), format_ident!("{of}"));
        quote!(<#ident as #rt::StageFn>::#of)
    }

    /// As `projection`, for errors that are to be shown at `span`.
    pub(crate) fn projection_at(&self, stage: usize, of: &str, span: Span) -> TokenStream {
        let ident = self.marker_at(stage, span);
        let (rt, of) = (self.rt(), format_ident!("{of}", span = span));
        quote_spanned!(span=> <#ident as #rt::StageFn>::#of)
    }

    /// The marker of a stage, for errors that are to be shown at `span`.
    pub(crate) fn marker_at(&self, stage: usize, span: Span) -> Ident {
        let mut ident = self.nodes[stage].ident.clone();
        ident.set_span(span.resolved_at(ident.span()));
        ident
    }

    /// Shows that the items of a stage can go from thread to thread. Wherever this is asked for, it is said at the same place
    /// in the same words, so that rustc says it once.
    pub(crate) fn crossing(&self, stage: usize) -> TokenStream {
        self.crossing_of(stage, "In", stage)
    }

    /// As `crossing`, for what a link to a stage carries.
    pub(crate) fn crossing_link(&self, stage: usize) -> TokenStream {
        let crossing = self.crossing(stage);
        match self.calls.pass(stage) {
            true => calls::crossing(&crossing),
            false => crossing,
        }
    }

    /// As `crossing`, for what a source sends: said at the first stage that takes it.
    pub(crate) fn crossing_from(&self, source: usize) -> TokenStream {
        let reads = |stage: &usize| self.inputs(*stage).iter().any(|read| read.stage == source);
        let reader = (0..self.nodes.len()).find(reads).unwrap_or(source);
        self.crossing_of(source, "Out", reader)
    }

    fn crossing_of(&self, stage: usize, of: &str, at: usize) -> TokenStream {
        let span = self.nodes[at]
            .def
            .item_span()
            .resolved_at(Span::mixed_site());
        let (rt, item) = (self.rt(), self.projection_at(stage, of, span));
        quote_spanned!(span=> #rt::crosses_threads::<#item>())
    }

    /// Tells an error that ends the run.
    pub(crate) fn shown(&self, stage: usize) -> TokenStream {
        let err = &self.nodes[stage].sig.err;
        let span = err
            .as_ref()
            .map_or_else(Span::call_site, syn::spanned::Spanned::span);
        let span = span.resolved_at(Span::mixed_site());
        let (rt, err) = (self.rt(), self.projection_at(stage, "Err", span));
        quote_spanned!(span=> #rt::shown::<#err>)
    }

    /// Where it is said that an output must be copied: at its second reader.
    pub(crate) fn copy_span(&self, output: Output<'_>) -> Option<Span> {
        self.readers(output)
            .get(1)
            .map(|reader| reader.from.resolved_at(Span::mixed_site()))
    }

    /// The `prefetch` of a stage in front of which items wait: its distance, or nothing where it is code.
    pub(crate) fn prefetch(&self, stage: usize) -> Option<Option<u32>> {
        let stage = &self.model.stages[stage];
        let given = stage.options.prefetch.as_ref()?;
        (!stage.is_guarded()).then_some(given.value)
    }

    /// As `prefetch`, of a guarded stage: its loop looks ahead in the batch.
    pub(crate) fn looks_ahead(&self, stage: usize) -> Option<Option<u32>> {
        let stage = &self.model.stages[stage];
        let given = stage.options.prefetch.as_ref()?;
        stage.is_guarded().then_some(given.value)
    }

    /// `true` if an ordered gate behind a segment counts its carriers, so that also empty ones must go on.
    pub(crate) fn keeps_empty(&self, segment: usize) -> bool {
        let plan = self.plan;
        let segment = &plan.segments[segment];
        segment.ordered
            && segment.outs.iter().any(|out| {
                self.is_ordered(out.link)
                    || (plan.links[out.link].kind == LinkKind::Direct
                        && self.keeps_empty(plan.links[out.link].segment))
            })
    }

    /// The type parameter that stands for the key function of a stage.
    pub(crate) fn key_param(&self, stage: usize) -> Ident {
        self.item(format!("K{stage}"))
    }

    /// The type parameters that stand for the closure that calls an async stage, and for the future that it makes.
    pub(crate) fn future_params(&self, stage: usize) -> (Ident, Ident) {
        (
            self.item(format!("C{stage}")),
            self.item(format!("F{stage}")),
        )
    }

    /// The type parameter that stands for what a source function returned.
    pub(crate) fn source_param(&self, source: usize) -> Ident {
        self.item(format!("S{source}"))
    }

    /// The short name of the runtime's private module.
    pub(crate) fn rt(&self) -> Ident {
        self.item("rt")
    }

    /// `true` for a sink or serial stage whose link keeps order.
    pub(crate) fn is_ordered(&self, link: usize) -> bool {
        matches!(
            self.plan.links[link].kind,
            LinkKind::Ordered | LinkKind::Keyed { ordered: true }
        )
    }
}

impl Node<'_> {
    /// `true` if it has an `Err` door.
    pub(crate) fn fallible(&self) -> bool {
        self.sig.err.is_some()
    }

    /// `true` for an `async fn`.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.is_async.is_some()
    }

    /// `true` if it is called with many items at once.
    pub(crate) fn is_batch(&self) -> bool {
        matches!(
            self.sig.takes,
            Takes::Batch | Takes::Slice | Takes::SliceMut
        )
    }

    /// `true` if what it sends collects in a buffer first: `Emit`, or an iterator that may borrow the state.
    pub(crate) fn has_buffer(&self) -> bool {
        match self.sig.gives {
            Gives::Emit | Gives::EmitResult => true,
            Gives::Many => self.sig.has_state(),
            _ => false,
        }
    }

    /// `true` if it ends the way of its items.
    pub(crate) fn is_end(&self) -> bool {
        self.def.kind == Kind::Sink
            || (self.sig.gives == Gives::Unit && self.sig.takes == Takes::Item)
    }
}

/// An identifier of generated code. It is hygienic where it names a local.
pub(crate) fn mixed(name: &str) -> Ident {
    if name == "self" {
        return Ident::new(name, Span::mixed_site());
    }
    let mut ident = syn::parse_str::<Ident>(name).unwrap_or_else(|_| {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        format_ident!("_{plain}")
    });
    ident.set_span(Span::mixed_site());
    ident
}

/// A word of the user's, as it was written in an attribute or in RON. A word of Rust is a name behind `r#`.
pub(crate) fn spanned(word: &str, span: Span) -> Ident {
    let raw = || syn::parse_str::<Ident>(&format!("r#{word}"));
    let mut ident = syn::parse_str::<Ident>(word)
        .or_else(|_| raw())
        .unwrap_or_else(|_| mixed(word));
    ident.set_span(span);
    ident
}

/// `name`, or `name_`, or `name__`, ...: the first that is not taken; it is taken then.
pub(crate) fn fresh(name: &str, taken: &mut HashSet<String>) -> String {
    let mut name = name.to_owned();
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

/// Every word of a type, so that no generated item hides a part of it.
fn words_of(ty: Option<&Type>) -> HashSet<String> {
    fn collect(tokens: TokenStream, words: &mut HashSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    words.insert(plain(&word));
                }
                TokenTree::Group(group) => collect(group.stream(), words),
                _ => {}
            }
        }
    }
    let mut words = HashSet::new();
    if let Some(ty) = ty {
        collect(ty.to_token_stream(), &mut words);
    }
    words
}
