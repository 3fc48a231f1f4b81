//! What an async stage's loop gets: the result of a future with what lay beside it, or an item that is turned away.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Futures, seat::Panic};
use crate::breaker::Refused;

/// What comes to the loop of a stage whose breaker, while it is open, lets items go another way.
#[derive(Debug)]
pub enum Landing<R, T> {
    /// A future has ended with this result, which comes with what lay beside it.
    Ended(R),
    /// The item is not called.
    TurnedAway(T),
}

/// How a loop gets what has become of an item.
pub(super) trait Lands<T, C, F: Future, B, O> {
    type Item;

    fn ended(output: F::Output, beside: B) -> Self::Item;

    /// Of an item that is not called.
    fn turned_away(
        futures: &Futures<T, C, F, B, O>,
        item: T,
        why: Refused,
    ) -> Result<Self::Item, Panic>;
}

/// All that comes is a result: what is not called fails.
pub(super) struct Results;

impl<T, C: Fn(T) -> (F, B), F: Future, B, O> Lands<T, C, F, B, O> for Results {
    type Item = (F::Output, B);

    fn ended(output: F::Output, beside: B) -> Self::Item {
        (output, beside)
    }

    fn turned_away(
        futures: &Futures<T, C, F, B, O>,
        item: T,
        why: Refused,
    ) -> Result<Self::Item, Panic> {
        let fail = futures
            .refused
            .expect("a stage that turns items away has an error for them");
        catch_unwind(AssertUnwindSafe(|| {
            // Nothing of a future runs before it is polled.
            let (_, beside) = (futures.call)(item);
            (fail(why), beside)
        }))
    }
}

/// What is not called comes as it is.
pub(super) struct Landings;

impl<T, C, F: Future, B, O> Lands<T, C, F, B, O> for Landings {
    type Item = Landing<(F::Output, B), T>;

    fn ended(output: F::Output, beside: B) -> Self::Item {
        Landing::Ended((output, beside))
    }

    fn turned_away(_: &Futures<T, C, F, B, O>, item: T, _: Refused) -> Result<Self::Item, Panic> {
        Ok(Landing::TurnedAway(item))
    }
}
