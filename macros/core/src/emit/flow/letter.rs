//! Dead letters: how a loop knows where its items come from, what it keeps of them, and how an error becomes a letter.

use pipewright_spec::{
    options::OnPanic,
    plan::{Head, INPUT},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{Flow, Mode, hygienic};
use crate::{
    emit::{
        fields::Field,
        guards,
        pipe::{Node, Output, Pipe, Reader},
        vector,
    },
    signature::Letter,
};

/// What a loop knows about where its items come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: a batch stage may have items of earlier batches.
    Nothing,
    /// The source and its batch.
    Batch,
    /// The place in the batch too, by counting the items.
    Counted,
    /// The place in the batch too, by the items' tags.
    Tagged,
}

/// What is known in a loop.
pub(crate) fn known(pipe: &Pipe<'_>, mode: Mode) -> Known {
    let collects = |stage: usize| pipe.nodes[stage].is_batch();
    let waits = |stage: usize| pipe.prefetch(stage).is_some();
    let has_vectors = !vector::levels(pipe, mode).is_empty();
    let Mode::Segment(segment) = mode else {
        let mut all = 0..pipe.nodes.len();
        return match (
            all.any(|stage| collects(stage) || waits(stage)),
            has_vectors,
        ) {
            (true, _) => Known::Nothing,
            (false, true) => Known::Batch,
            (false, false) => Known::Counted,
        };
    };
    let plan = &pipe.plan.segments[segment];
    let any = |what: &dyn Fn(usize) -> bool| plan.stages.iter().any(|stage| what(*stage));
    let from_source = matches!(plan.head, Head::Source(_) | Head::Input);
    match (any(&collects), any(&waits)) {
        // A guarded stage is done with each batch before it takes the next.
        (true, _) | (_, true) if plan.is_pinned() && !plan.guarded => Known::Nothing,
        (true, _) => Known::Batch,
        _ if has_vectors => Known::Batch,
        _ if plan.tagged => Known::Tagged,
        (_, false) if from_source => Known::Counted,
        _ => Known::Batch,
    }
}

/// The first value of [`Field::Whence`] in the loop of a segment.
pub(crate) fn whence(pipe: &Pipe<'_>, segment: usize) -> TokenStream {
    let rt = pipe.rt();
    match known(pipe, Mode::Segment(segment)) {
        Known::Nothing => hygienic!(#rt::Whence::unknown()),
        Known::Counted => hygienic!(#rt::Whence::of(watch, &load)),
        Known::Batch | Known::Tagged => hygienic!(#rt::Whence::of_some(watch, &load)),
    }
}

/// As [`whence`], for a worker that is alone and takes items from `source`.
pub(crate) fn whence_alone(pipe: &Pipe<'_>) -> TokenStream {
    let rt = pipe.rt();
    match known(pipe, Mode::Solo) {
        Known::Nothing => hygienic!(#rt::Whence::unknown()),
        _ => hygienic!(#rt::Whence::alone(w, source)),
    }
}

/// What a reader takes of an output: letters come only from a stage's `Err`.
pub(crate) fn letter(pipe: &Pipe<'_>, output: Output<'_>, reader: usize) -> Letter {
    let fails = pipe.nodes.get(output.stage).is_some_and(Node::fallible);
    match output.stage != INPUT && output.door == Some("Err") && fails {
        true => pipe.nodes[reader].sig.letter(),
        false => Letter::No,
    }
}

impl Flow<'_> {
    /// Counts an item that comes into the loop, if a letter is made in it.
    pub(crate) fn count_for_letters(&self) -> TokenStream {
        let is_used = self.fields.iter().any(|field| field == Field::Whence);
        if !is_used || known(self.pipe, self.mode) != Known::Counted {
            return TokenStream::new();
        }
        let whence = self.pipe.fields.of(Field::Whence);
        hygienic!(self.#whence.next();)
    }

    /// Copies the items of the batch `xs` before its stage is called.
    pub(super) fn keep_all(&self, stage: usize, keeper: &Reader) -> TokenStream {
        let (rt, span) = (self.pipe.rt(), at_item_of(self.pipe, keeper.stage));
        let producer = self.pipe.marker_at(stage, span);
        quote_spanned!(span=> let kept = #rt::keep_all::<_, #producer>(&xs);)
    }

    /// As [`keep`], with another copy for the letter of an item that panics, because what is on the stack is gone then.
    pub(super) fn keep_for_letters(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let keep = keep(self.pipe, stage);
        let keeper = keeper(self.pipe, stage).filter(|_| leaves(self.pipe, stage));
        let Some(keeper) = keeper else { return keep };
        let (rt, span) = (self.pipe.rt(), at_item_of(self.pipe, keeper.stage));
        let slot = self.fields.use_of(self.pipe, Field::Kept(stage));
        let producer = self.pipe.marker_at(stage, span);
        quote_spanned!(span=> #keep #me.#slot = Some(#rt::keep::<_, #producer>(&kept));)
    }

    /// What is there of the batch `xs` for the letters of its items, if the stage panics with them.
    pub(super) fn keep_for_panics(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !leaves(self.pipe, stage) {
            return TokenStream::new();
        }
        let slot = self.fields.use_of(self.pipe, Field::Kept(stage));
        let Some(keeper) = keeper(self.pipe, stage) else {
            return hygienic!(#me.#slot = Some(xs.len()););
        };
        let (rt, span) = (self.pipe.rt(), at_item_of(self.pipe, keeper.stage));
        let producer = self.pipe.marker_at(stage, span);
        quote_spanned!(span=> #me.#slot = Some(#rt::keep_all::<_, #producer>(&xs));)
    }

    /// The batch is called, and did not panic: what panics from now on is no more than an item.
    pub(super) fn forget_for_panics(&mut self, stage: usize, me: &Ident) -> TokenStream {
        if !leaves(self.pipe, stage) {
            return TokenStream::new();
        }
        let slot = self.fields.use_of(self.pipe, Field::Kept(stage));
        hygienic!(#me.#slot = None;)
    }

    /// `panicked`, by which items leave with which the stages of this loop panic; nothing where none of them does.
    pub(crate) fn panicked(&mut self, stages: &[usize]) -> TokenStream {
        let (pipe, rt, me) = (self.pipe, self.pipe.rt(), super::mixed("self"));
        // What a future panics with is a result of it.
        let leaving = stages
            .iter()
            .copied()
            .filter(|at| leaves(pipe, *at) && !pipe.nodes[*at].is_async());
        let leaving: Vec<TokenStream> = leaving
            .map(|at| match self.pipe.nodes[at].is_batch() {
                true => self.all_leave(at, &me),
                false => self.leaves(at, &me),
            })
            .collect();
        if leaving.is_empty() {
            return TokenStream::new();
        }
        let tally = self.tally.ident();
        hygienic! {
            fn panicked(&mut self, stage: u16, panicked: #rt::Panicked, t: &mut #tally) -> bool {
                #(#leaving)*
                false
            }
        }
    }

    /// What happens to the item with which a stage has panicked.
    fn leaves(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let pipe = self.pipe;
        let (id, output) = (&pipe.nodes[stage].id, err(stage));
        let kept = keeper(pipe, stage).map(|_| {
            let slot = self.fields.use_of(pipe, Field::Kept(stage));
            hygienic!(let Some(kept) = #me.#slot.take() else { return false };)
        });
        let call = self.nobody_asks(stage);
        let told = guards::tell(self, stage, me);
        let count = self.tally.failed(pipe, stage);
        let after = self.counted(output, count, me);
        let error = guards::of_error(pipe, stage, "panicked");
        hygienic! {
            if stage == #id {
                t.at = #id;
                #kept
                #call
                let x = #error(panicked);
                #told
                #after
                return true;
            }
        }
    }

    /// As [`Self::leaves`], for the items of a batch.
    fn all_leave(&mut self, stage: usize, me: &Ident) -> TokenStream {
        let (pipe, s) = (self.pipe, super::mixed("s"));
        let (rt, id) = (pipe.rt(), &pipe.nodes[stage].id);
        let watch = self.fields.use_of(pipe, Field::Watch);
        let slot = self.fields.use_of(pipe, Field::Kept(stage));
        let call = self.nobody_asks(stage);
        let (verdict, told) = (self.tell_verdict(stage, &s), guards::tell(self, stage, &s));
        let count = self.tally.failed(pipe, stage);
        let after = self.counted(err(stage), count, &s);
        let error = guards::of_error(pipe, stage, "panicked");
        let (items, kept) = match keeper(pipe, stage) {
            Some(_) => (hygienic!(kept.drain()), hygienic!(kept)),
            None => (hygienic!(0..kept), hygienic!(_)),
        };
        let mutable = keeper(pipe, stage).map(|_| hygienic!(mut));
        hygienic! {
            if stage == #id {
                let Some(#mutable kept) = #me.#slot.take() else { return false };
                #rt::each_letter(#me.#watch, #me, t, #id, #items, |s, #kept, t| {
                    #verdict
                    #call
                    let x = #error(panicked.clone());
                    #told
                    #after
                });
                return true;
            }
        }
    }

    /// `let call = ..;` for readers of the errors of a stage on the way: whoever called was told when the stage panicked.
    fn nobody_asks(&self, stage: usize) -> Option<TokenStream> {
        let (pipe, rt) = (self.pipe, self.pipe.rt());
        let mut readers = pipe.readers(err(stage)).into_iter();
        let asked = readers.any(|reader| pipe.calls.pass(reader.stage));
        asked.then(|| hygienic!(let call = #rt::Asked::none();))
    }

    /// The letter that a reader takes, of the error `error`.
    pub(super) fn letter(
        &mut self,
        output: Output<'_>,
        reader: &Reader,
        error: &TokenStream,
        me: &Ident,
    ) -> Option<TokenStream> {
        let letter = letter(self.pipe, output, reader.stage);
        if letter == Letter::No {
            return None;
        }
        let (rt, span) = (self.pipe.rt(), self.at_item_of(reader.stage));
        let consumer = self.pipe.marker_at(reader.stage, span);
        let producer = self.producer(output, reader.from);
        let whence = self.whence_of_item(me);
        let told = guards::told(self, output.stage, error, me);
        // The error is asked what it says before it is given away.
        let (before, whence) = match told {
            None => (TokenStream::new(), whence),
            Some(told) => (hygienic!(let whence = #whence #told;), hygienic!(whence)),
        };
        let block = |letter: TokenStream| match before.is_empty() {
            true => letter,
            false => hygienic!({ #before #letter }),
        };
        if letter == Letter::WithoutItem {
            return Some(block(
                quote_spanned!(span=> #rt::letter_link::<#producer, #consumer>(#error, #whence)),
            ));
        }
        let readers = self.pipe.readers(output);
        let kept = match readers.len() {
            1 => hygienic!(kept),
            _ => quote_spanned!(span=> #rt::keep::<_, #producer>(&kept)),
        };
        Some(block(
            quote_spanned!(span=> #rt::kept_letter_link::<#producer, #consumer>(#error, #kept, #whence)),
        ))
    }

    fn whence_of_item(&mut self, me: &Ident) -> TokenStream {
        let whence = self.fields.use_of(self.pipe, Field::Whence);
        if known(self.pipe, self.mode) != Known::Tagged {
            return hygienic!(#me.#whence);
        }
        let tag = self.fields.use_of(self.pipe, Field::Tag);
        hygienic!(#me.#whence.at(#me.#tag))
    }

    fn at_item_of(&self, stage: usize) -> Span {
        at_item_of(self.pipe, stage)
    }
}

/// The place of what a stage takes.
fn at_item_of(pipe: &Pipe<'_>, stage: usize) -> Span {
    let span = pipe.nodes[stage].def.item_span();
    span.resolved_at(Span::mixed_site())
}

/// The reader of a stage's errors that takes letters with the items that failed.
pub(crate) fn keeper(pipe: &Pipe<'_>, stage: usize) -> Option<Reader> {
    let output = err(stage);
    let mut readers = pipe.readers(output).into_iter();
    readers.find(|reader| letter(pipe, output, reader.stage) == Letter::WithItem)
}

/// Copies `x` before its stage is called, if a letter has it.
pub(crate) fn keep(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let Some(keeper) = keeper(pipe, stage) else {
        return TokenStream::new();
    };
    let (rt, span) = (pipe.rt(), at_item_of(pipe, keeper.stage));
    let producer = pipe.marker_at(stage, span);
    quote_spanned!(span=> let kept = #rt::keep::<_, #producer>(&x);)
}

/// Tells a dry run which readers of a stage's errors take letters.
pub(crate) fn dry(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    let rt = pipe.rt();
    let id = &pipe.nodes[stage].id;
    let mut lines = dry_panics(pipe, stage);
    for reader in pipe.readers(err(stage)) {
        let span = at_item_of(pipe, reader.stage);
        let (producer, consumer) = (
            pipe.marker_at(stage, reader.from.resolved_at(Span::mixed_site())),
            pipe.marker_at(reader.stage, span),
        );
        let reader_id = &pipe.nodes[reader.stage].id;
        lines.extend(match letter(pipe, err(stage), reader.stage) {
            Letter::No => TokenStream::new(),
            Letter::WithoutItem => {
                let make = quote_spanned!(span=> #rt::letter_link::<#producer, #consumer>);
                hygienic!(a.letters::<#producer, #consumer>(#id, #reader_id, #make);)
            }
            Letter::WithItem => {
                let (item, keeps) = (
                    pipe.projection_at(stage, "In", span),
                    pipe.marker_at(stage, span),
                );
                let keep = quote_spanned!(span=> #rt::keep::<#item, #keeps>);
                let make = quote_spanned!(span=> #rt::kept_letter_link::<#producer, #consumer>);
                hygienic!(a.kept_letters::<#producer, #consumer>(#id, #reader_id, #keep, #make);)
            }
        });
    }
    lines
}

/// `true` if items with which a stage panics leave by its `Err`.
pub(crate) fn leaves(pipe: &Pipe<'_>, stage: usize) -> bool {
    let on_panic = pipe.model.stages[stage].options.on_panic.as_ref();
    on_panic.is_some_and(|given| given.value == OnPanic::DeadLetter)
}

/// Tells a dry run which stages these are.
fn dry_panics(pipe: &Pipe<'_>, stage: usize) -> TokenStream {
    if !leaves(pipe, stage) {
        return TokenStream::new();
    }
    let (ident, id) = (&pipe.nodes[stage].ident, &pipe.nodes[stage].id);
    let error = guards::of_error(pipe, stage, "panicked");
    hygienic!(a.panics::<#ident>(#id, #error);)
}

fn err(stage: usize) -> Output<'static> {
    Output {
        stage,
        door: Some("Err"),
    }
}
