//! What an async stage's loop knows about the batch that it runs, and how what has ended leaves before the rest.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use crate::{
    breaker::Refused, carrier::Carrier, classify::ErrorClass, drive::Watch, guard::Guard,
    shared::Kept,
};

/// What an async stage's loop knows about the batch that it runs, and tells about the item that has just landed.
pub struct Flying<'r, T> {
    pub(super) w: Watch<'r>,
    pub(super) stage: u16,
    pub(super) guard: Option<&'r Guard>,
    /// Tries of the item before this one, and whether there is to be none behind it.
    pub(super) tries: Cell<(u32, bool)>,
    /// Why the item was not called, if it was not.
    pub(super) refusal: Cell<Option<Refused>>,
    /// Is its error a failure of whom was called?
    pub(super) failed: Cell<bool>,
    /// The item, which is to be tried again, with its place in its batch.
    pub(super) again: RefCell<Option<(u32, T)>>,
    /// What the error said that ends the run.
    pub(super) fatal: RefCell<Option<String>>,
}

/// A batch cannot go on before one of its futures is woken, or before a time.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// In nanoseconds of the run; `u64::MAX` for no time.
    pub(super) due: u64,
}

impl<'r, T: 'static> Flying<'r, T> {
    /// For a batch that comes to `stage`, or goes on there.
    pub fn new(w: Watch<'r>, stage: u16) -> Self {
        Self {
            w,
            stage,
            guard: w.shared.guards.of(stage.into()),
            tries: Cell::new((0, false)),
            refusal: Cell::new(None),
            failed: Cell::new(false),
            again: RefCell::new(None),
            fatal: RefCell::new(None),
        }
    }

    /// The item failed. Returns what its error says, which `class` tells, with the text of a fatal one.
    pub fn failed<E>(&self, error: &E, class: impl Fn(&E) -> (ErrorClass, String)) -> ErrorClass {
        let (class, text) = class(error);
        if self.refusal.get().is_some() {
            return class;
        }
        let counts = self.guard.is_some_and(|guard| guard.is_failure(class));
        self.failed.set(counts);
        if class == ErrorClass::Fatal {
            self.fatal.borrow_mut().get_or_insert(text);
        }
        class
    }

    /// The item failed, and is tried again if that may help; else the error is final and comes back.
    pub fn again<E>(
        &self,
        error: E,
        tag: u32,
        item: T,
        class: impl Fn(&E) -> (ErrorClass, String),
    ) -> Option<E> {
        let class = self.failed(&error, class);
        let (again, last) = self.tries.get();
        let over = last || self.refusal.get().is_some();
        let tries_again = |guard: &Guard| guard.tries_again(class, again);
        if over || !self.guard.is_some_and(tries_again) {
            return Some(error);
        }
        self.w.counts.unreceived(self.stage);
        self.again.replace(Some((tag, item)));
        None
    }

    /// Why the item is not called, if it is not.
    pub fn refusal(&self) -> Option<Refused> {
        self.refusal.get()
    }

    /// Calls with the item.
    pub fn attempts(&self) -> u32 {
        self.tries.get().0 + u32::from(self.refusal.get().is_none())
    }

    /// Puts what the batch has made for one link in the order of its items.
    pub fn in_order<U: 'static>(&self, out: &mut Carrier<U>) {
        let tagged = self.w.shared.info.links[usize::from(out.link())].tagged;
        let (tags, items) = out.parts();
        sort_by_tags(tags, items);
        if !tagged {
            tags.clear();
        }
    }

    /// The ticket with which what has ended leaves before the rest of `load`, if there is `any` and a ticket is free.
    pub fn ahead(&self, load: &Carrier<T>, any: bool) -> Option<Ahead<'r>> {
        let (shared, root) = (self.w.shared, load.ticket());
        if !any || shared.is_stopping() {
            return None;
        }
        let credits = &shared.credits;
        let ticket = credits.take(credits.source(root), credits.lane(root))?;
        credits.set_batch(ticket, credits.batch(root));
        credits.set_place(ticket, credits.place(root));
        if shared.has_acks {
            credits.attach(root, ticket);
        }
        let kept = shared.kept(ticket);
        Some(Ahead { kept })
    }
}

/// A ticket of what leaves before the rest of its batch.
pub struct Ahead<'r> {
    kept: Kept<'r>,
}

impl Ahead<'_> {
    /// A carrier goes on with this ticket.
    pub fn takes<U: 'static>(&self, carrier: &mut Carrier<U>) {
        self.kept.share();
        carrier.exchange_ticket(self.kept.ticket());
    }
}

/// Up to so many items are put in order by insertion, which is fast where they are nearly in order.
const FEW: usize = 64;

/// Sorts two lists of the same length by the first, in place. No two tags are the same: an item makes one result.
fn sort_by_tags<U>(tags: &mut [u32], items: &mut [U]) {
    if tags.is_sorted() {
        return;
    }
    if tags.len() > FEW {
        return heap_sort(tags, items);
    }
    for at in 1..tags.len() {
        let to = tags[..at].partition_point(|before| *before < tags[at]);
        tags[to..=at].rotate_right(1);
        items[to..=at].rotate_right(1);
    }
}

/// Williams, "Algorithm 232: heapsort", CACM 7(6), 1964.
fn heap_sort<U>(tags: &mut [u32], items: &mut [U]) {
    for at in (0..tags.len() / 2).rev() {
        sift(tags, items, at);
    }
    for end in (1..tags.len()).rev() {
        tags.swap(0, end);
        items.swap(0, end);
        sift(&mut tags[..end], &mut items[..end], 0);
    }
}

/// Lets what is at `at` sink until what is below it is smaller.
fn sift<U>(tags: &mut [u32], items: &mut [U], mut at: usize) {
    loop {
        let mut child = 2 * at + 1;
        if child >= tags.len() {
            return;
        }
        if child + 1 < tags.len() && tags[child] < tags[child + 1] {
            child += 1;
        }
        if tags[at] >= tags[child] {
            return;
        }
        tags.swap(at, child);
        items.swap(at, child);
        at = child;
    }
}

impl<T> fmt::Debug for Flying<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flying")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("ticket", &self.kept.ticket())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_put_in_the_order_of_their_items() {
        let mut seed = 7_u64;
        for length in 0..200 {
            let mut tags: Vec<u32> = (0..length).collect();
            for at in (1..tags.len()).rev() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                tags.swap(at, (seed >> 33) as usize % (at + 1));
            }
            let mut items: Vec<String> = tags.iter().map(u32::to_string).collect();
            sort_by_tags(&mut tags, &mut items);
            let expect: Vec<u32> = (0..length).collect();
            assert_eq!(tags, expect, "seed 7, length {length}");
            let expect: Vec<String> = expect.iter().map(u32::to_string).collect();
            assert_eq!(items, expect);
        }
    }
}
