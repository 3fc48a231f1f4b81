//! Dead letters: errors with what is known about the items that caused them, and how generated code makes them.
//!
//! A reader of `stage::Err` takes the error, a [`DeadLetter<E>`], or a [`DeadLetter<E, T>`] that has the item too. What that costs is
//! paid where it is asked for: a loop knows where its items come from ([`Whence`]) only if a letter is made in it, and an item
//! is cloned before each call only if a letter has it.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use crate::{
    Batch,
    classify::ErrorClass,
    diagnose::{Keeps, ReceivesKeptLetter, ReceivesLetter},
    drive::Watch,
    load::Load,
    stage::StageFn,
    worker::Worker,
};

/// An error of a stage, with what is known about the item that caused it.
///
/// A reader of `stage::Err` takes one instead of the error `E`. With the item's type as `T` it also has the item as it was
/// before the stage was called, for which the item is cloned each time that the stage is called: `T: Clone`.
///
/// ```
/// use pipewright::{DeadLetter, pipeline};
///
/// #[pipeline]
/// mod numbers {
///     use super::DeadLetter;
///
///     #[source]
///     pub fn lines() -> impl Iterator<Item = String> {
///         ["1", "two", "3"].into_iter().map(str::to_owned)
///     }
///
///     #[stage(from = lines)]
///     pub fn parse(line: String) -> Result<u32, std::num::ParseIntError> {
///         line.parse()
///     }
///
///     #[sink(from = parse)]
///     pub fn add(_n: u32) {}
///
///     #[sink(from = parse::Err)]
///     pub fn complain(letter: DeadLetter<std::num::ParseIntError, String>) {
///         assert_eq!((letter.stage, letter.item.as_str()), ("parse", "two"));
///         let origin = letter.origin.expect("it is known");
///         assert_eq!((&*origin.source, origin.index), ("lines", Some(1)));
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let report = numbers::pipeline().start(())?.wait()?;
/// assert_eq!(report.metrics().stage::<numbers::complain>().received, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter<E, T = NotKept> {
    /// What went wrong.
    pub error: E,
    /// The item, as it was before the stage was called.
    pub item: T,
    /// The stage that failed.
    pub stage: &'static str,
    /// What the error says: [`Dependency`](ErrorClass::Dependency), unless the stage has a `breaker` or `retry` and so is asked.
    pub class: ErrorClass,
    /// How often the stage was called with the item: 1, more with `retry`, and 0 if its breaker turned the item away.
    pub attempts: u32,
    /// Where the item came from, as far as that is known.
    pub origin: Option<Origin>,
    /// When the stage failed first. In a dry run, the virtual time since 1970.
    pub first: SystemTime,
    /// When it failed last.
    pub last: SystemTime,
}

/// In the place of an item that a [`DeadLetter`] does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotKept;

/// Which item of which source it was: the source, the number of its batch, and the place in that batch.
///
/// How many items a batch has is decided while the pipeline runs, so the same item can be in another batch in another run. Not
/// known is the origin of items that came through a ring between pinned threads, and, where one worker has the pipeline to
/// itself or threads are pinned, that of items behind a batch stage or one with `prefetch`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// The source, or `input`.
    pub source: Cow<'static, str>,
    /// The number of the batch, from 0: each batch that the source gives has a higher one. In a dry run it is 0.
    pub batch: u64,
    /// The item's place in the batch, from 0. It is known as long as nothing but stages without `batch`, `prefetch` and `simd` lie
    /// between the source and the stage, none of which is serial, keyed or pinned; and wherever ways come together that
    /// keep order.
    pub index: Option<u32>,
}

impl Origin {
    /// An item of a source.
    pub fn new(source: impl Into<Cow<'static, str>>, batch: u64, index: Option<u32>) -> Self {
        Self {
            source: source.into(),
            batch,
            index,
        }
    }
}

impl<E, T> DeadLetter<E, T> {
    pub(crate) fn at(whence: Whence, stage: &'static str, error: E, item: T) -> Self {
        let time = whence.time();
        Self {
            error,
            item,
            stage,
            class: whence.class,
            attempts: whence.attempts,
            origin: whence.origin(),
            first: time,
            last: time,
        }
    }
}

/// Where the items of a loop come from.
#[derive(Clone, Copy, Debug)]
pub struct Whence {
    /// The source and the number of its batch.
    batch: Option<(&'static str, u64)>,
    /// The place of the item that is in the loop; `u32::MAX` while that is not known.
    index: u32,
    /// The virtual time of a dry run.
    virtual_ns: Option<u64>,
    /// What the item's error says, where that is asked.
    class: ErrorClass,
    /// Calls with the item.
    attempts: u32,
}

impl Whence {
    /// Of a load.
    pub fn of(w: Watch<'_>, load: &impl Load) -> Self {
        let ticket = load.ticket();
        let credits = &w.shared.credits;
        if ticket >= credits.total() {
            return Self::unknown();
        }
        let source = credits.source(ticket) as usize;
        Self {
            batch: Some((w.shared.source_name(source), credits.batch(ticket))),
            // The first item adds one.
            index: credits.place(ticket).wrapping_sub(1),
            virtual_ns: None,
            class: ErrorClass::Dependency,
            attempts: 1,
        }
    }

    /// Of a load whose items are not in the order of their source.
    pub fn of_some(w: Watch<'_>, load: &impl Load) -> Self {
        Self {
            index: u32::MAX,
            ..Self::of(w, load)
        }
    }

    /// Of what a worker that is alone takes next from a source.
    pub fn alone(w: &Worker<'_>, source: usize) -> Self {
        let batch = w.shared.sources[source].next_batch();
        Self {
            batch: Some((w.shared.source_name(source), batch)),
            index: u32::MAX,
            virtual_ns: None,
            class: ErrorClass::Dependency,
            attempts: 1,
        }
    }

    /// Of items of several batches.
    pub const fn unknown() -> Self {
        Self {
            batch: None,
            index: u32::MAX,
            virtual_ns: None,
            class: ErrorClass::Dependency,
            attempts: 1,
        }
    }

    /// Of an item of a dry run: its source and its number there.
    pub(crate) fn dry(item: Option<(&'static str, u32)>, ns: u64) -> Self {
        Self {
            batch: item.map(|(source, _)| (source, 0)),
            index: item.map_or(u32::MAX, |(_, index)| index),
            virtual_ns: Some(ns),
            class: ErrorClass::Dependency,
            attempts: 1,
        }
    }

    /// The same, of an item whose error says `class` after so many calls.
    pub fn told(self, class: ErrorClass, attempts: u32) -> Self {
        Self {
            class,
            attempts,
            ..self
        }
    }

    fn time(self) -> SystemTime {
        let since = self.virtual_ns.map(Duration::from_nanos);
        let virtual_time = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        virtual_time.unwrap_or_else(SystemTime::now)
    }

    /// The next item comes into the loop.
    #[inline(always)]
    pub fn next(&mut self) {
        self.index = self.index.wrapping_add(1);
    }

    /// The same, where the item in the loop has this place.
    pub fn at(self, place: u32) -> Self {
        Self {
            index: place,
            ..self
        }
    }

    fn origin(self) -> Option<Origin> {
        let (source, batch) = self.batch?;
        let index = (self.index != u32::MAX).then_some(self.index);
        Some(Origin::new(source, batch, index))
    }
}

/// Hands an error of stage `P` to stage `C`, which takes a letter without the item.
#[cold]
pub fn letter_link<P: StageFn, C: StageFn>(error: P::Err, whence: Whence) -> C::In
where
    C::In: ReceivesLetter<P::Err, P, C>,
{
    let letter = DeadLetter::at(whence, P::NAME, error, NotKept);
    <C::In as ReceivesLetter<P::Err, P, C>>::receive(letter)
}

/// Hands an error of stage `P` to stage `C`, which takes a letter with the item.
#[cold]
pub fn kept_letter_link<P: StageFn, C: StageFn>(error: P::Err, item: P::In, whence: Whence) -> C::In
where
    C::In: ReceivesKeptLetter<P::Err, P::In, P, C>,
{
    let letter = DeadLetter::at(whence, P::NAME, error, item);
    <C::In as ReceivesKeptLetter<P::Err, P::In, P, C>>::receive(letter)
}

/// Copies the items of a batch of stage `P` for the letters that they may become.
pub fn keep_all<T: Keeps<P>, P: StageFn>(items: &[T]) -> Batch<T> {
    items.iter().map(Keeps::keep).collect::<Vec<T>>().into()
}

/// Copies an item of stage `P` for the letter that it may become.
#[inline(always)]
pub fn keep<T: Keeps<P>, P: StageFn>(item: &T) -> T {
    item.keep()
}
