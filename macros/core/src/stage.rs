//! One stage: `#[stage]`, `#[source]` or `#[sink]` on a function, alone or in a pipeline.

use pipewright_spec::{
    model::{Gives, Kind, Model, Name, Stage, StateKind, Takes},
    options::PipelineOptions,
};
use proc_macro2::{Span, TokenStream};
use syn::{FnArg, Type};

use crate::{
    attr, emit,
    errors::Errors,
    item::{MaybeItemFn, OtherItem, looks_like_fn},
    module::stage_attribute,
    options::{self, StageArgs},
    place::Place,
    signature::StageSig,
};

/// A stage, read from its function and its attribute.
pub(crate) struct StageDef {
    /// Which attribute it has.
    pub(crate) kind: Kind,
    /// Where the name of the attribute stands.
    pub(crate) attr: Span,
    /// The arguments as written.
    pub(crate) text: TokenStream,
    /// The arguments, read.
    pub(crate) args: StageArgs,
    /// The function.
    pub(crate) item: MaybeItemFn,
    /// What its head says; `None` if that was an error.
    pub(crate) sig: Option<StageSig>,
}

/// Expands `#[stage(attr)] item` outside of a pipeline.
pub(crate) fn expand(kind: Kind, attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::new();
    let mut parsed = match syn::parse2::<MaybeItemFn>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            if looks_like_fn(&item) {
                errors.syntax(error);
            } else {
                not_a_function(kind, Span::call_site(), item.clone(), &mut errors);
            }
            let errors = errors.into_tokens(None);
            return quote::quote!(#item #errors);
        }
    };
    refuse_second_role(&mut parsed, &mut errors);
    let def = StageDef::read(kind, Span::call_site(), attr, parsed, &mut errors);
    def.check_alone(&mut errors);
    let broken = !errors.is_empty();
    let stage = emit::stage(&def, None, None, broken);
    let companion = emit::companion(&def, broken);
    let errors = errors.into_tokens(None);
    quote::quote!(#stage #companion #errors)
}

/// Reports and takes away a second stage attribute.
fn refuse_second_role(item: &mut MaybeItemFn, errors: &mut Errors) {
    let name = item.name();
    item.attrs.retain(|attr| match stage_attribute(attr) {
        Some((_, span, _)) => {
            errors
                .at(
                    "E_TWO_ROLES",
                    span,
                    format!("`{name}` has two stage attributes"),
                )
                .help("keep one of them");
            false
        }
        None => true,
    });
}

/// Reports a stage attribute on something else.
pub(crate) fn not_a_function(kind: Kind, attr: Span, item: TokenStream, errors: &mut Errors) {
    let (span, what) = match OtherItem::of(item).keyword {
        Some(word) => (
            word.span(),
            format!(", this is {}", OtherItem::with_article(&word)),
        ),
        None => (attr, String::new()),
    };
    errors.at(
        "E_NOT_A_FUNCTION",
        span,
        format!("`#[{kind}]` goes on a function{what}"),
    );
}

impl StageDef {
    /// Reads a stage; problems are reported, and the rest is read all the same.
    pub(crate) fn read(
        kind: Kind,
        attr: Span,
        text: TokenStream,
        item: MaybeItemFn,
        errors: &mut Errors,
    ) -> StageDef {
        let args = attr::stage_args(text.clone(), errors);
        let args = options::stage(kind, args, errors);
        let sig = StageSig::read(kind, &item, errors);
        StageDef {
            kind,
            attr,
            text,
            args,
            item,
            sig,
        }
    }

    /// The name of the stage and of its function.
    pub(crate) fn name(&self) -> String {
        self.item.name()
    }

    /// How the function holds state.
    pub(crate) fn state(&self) -> StateKind {
        let rust = &self.args.options.rust;
        match &self.sig {
            Some(sig) if !sig.has_state() => StateKind::None,
            _ if rust.key.is_some() => StateKind::Keyed,
            _ if rust.per_worker.is_some() => StateKind::PerWorker,
            Some(_) => StateKind::Serial,
            None => StateKind::None,
        }
    }

    /// Rules that need no other stage; those of a whole pipeline are checked with it.
    fn check_alone(&self, errors: &mut Errors) {
        const OWN_RULES: [&str; 6] = [
            "E_SOURCE_FROM",
            "E_WRONG_KIND",
            "E_NEEDS",
            "E_CONFLICT",
            "E_FEW_CORES",
            "E_CANNOT_FAIL",
        ];
        // Whether a queue fits depends on `from`, which may be in a RON file.
        if !errors.is_empty() || self.args.options.queue.is_some() {
            return;
        }
        let place = Place::Rust(self.item.span());
        let stages = vec![self.model()];
        let model = Model {
            name: self.name(),
            place,
            stages,
            options: PipelineOptions::default(),
        };
        let found = pipewright_spec::check(&model).into_iter();
        found
            .filter(|problem| OWN_RULES.contains(&problem.code))
            .for_each(|problem| errors.push(problem));
    }

    /// The stage as the model of a pipeline has it.
    pub(crate) fn model(&self) -> Stage<Place> {
        let mut stage = Stage::new(Name::new(self.name(), Place::Rust(self.item.span())));
        // A stage that sends nothing ends the way of its items, as a sink does.
        let ends = self
            .sig
            .as_ref()
            .is_some_and(|sig| sig.takes == Takes::Item && sig.gives == Gives::Unit);
        stage.kind = Some(if ends { Kind::Sink } else { self.kind });
        stage.from = self.args.from.clone();
        stage.options = self.args.options.clone();
        stage.signature = self.sig.as_ref().map(|sig| sig.model(self.state()));
        stage
    }

    /// Where the type of its item is written, for errors about links.
    pub(crate) fn item_span(&self) -> Span {
        self.sig
            .as_ref()
            .map_or_else(|| self.item.span(), |sig| sig.item_span)
    }

    /// The line and column of its name.
    pub(crate) fn line_column(&self) -> (usize, usize) {
        let start = self.item.span().start();
        (start.line, start.column + 1)
    }

    /// `true` if rustc would say a second time in other words what is wrong with the head of the function.
    pub(crate) fn rustc_refuses(&self) -> bool {
        self.item.sig.inputs.iter().any(|input| match input {
            FnArg::Receiver(_) => true,
            FnArg::Typed(param) => is_bare_emit(&param.ty),
        })
    }

    /// The function, with a paragraph about its place in the pipeline that it stands in.
    ///
    /// A stage with `simd` is inlined into loops that are compiled for several levels; elsewhere it would be compiled for
    /// none of them. So it says so, unless it says something about that itself.
    pub(crate) fn function(&self, pipeline: Option<&str>) -> TokenStream {
        let inline = self.is_inlined().then(|| quote::quote!(#[inline(always)]));
        let Some(pipeline) = pipeline else {
            let function = &self.item;
            return quote::quote!(#inline #function);
        };
        let mut doc = format!(" A {} of [`{pipeline}`](self)", self.kind);
        let from: Vec<String> = self
            .args
            .from
            .iter()
            .map(|door| format!("`{}`", door.path()))
            .collect();
        if !from.is_empty() {
            doc.push_str(&format!("; it reads {}", from.join(" and ")));
        }
        doc.push_str(match self.state() {
            StateKind::None => ".",
            StateKind::Serial => " and has one state.",
            StateKind::PerWorker => " and has a state for each worker.",
            StateKind::Keyed => " and has a state for each key.",
        });
        let function = self.item.with_doc(&doc);
        quote::quote!(#inline #function)
    }

    fn is_inlined(&self) -> bool {
        let own = ["inline", "target_feature", "cold"];
        let says = |attr: &syn::Attribute| own.iter().any(|name| attr.path().is_ident(name));
        self.args.options.simd.is_some() && !self.item.attrs.iter().any(says)
    }
}

/// `true` for `&mut Emit` without the type of what is sent.
fn is_bare_emit(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|last| last.ident == "Emit" && last.arguments.is_none())
}
