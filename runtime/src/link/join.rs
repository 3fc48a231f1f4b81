//! Brings the parts of one ticket together before an ordered gate.
//!
//! Where a stream forks and its branches pass different gates, one pull arrives at the next ordered link in several
//! parts, in any order. They meet (see [`crate::meet`]); whoever brings the last one merges them by the position that
//! each item had in the source's batch, and goes on to the gate with the whole.

use std::fmt;

use pipewright_spec::info::LinkInfo;

use crate::{
    carrier::{Carrier, Home, Node},
    meet::Meet,
    shared::Shared,
};

/// The meeting place of parts.
pub(super) struct Join<T: 'static> {
    meet: Meet<Node<T>>,
    /// How many parts a ticket of each source has.
    expected: &'static [u8],
}

impl<T: 'static> Join<T> {
    pub(super) fn new(bound: usize, info: &LinkInfo) -> Self {
        Self {
            // A part's number is its place among those of all sources.
            meet: Meet::new(
                bound,
                info.parts.iter().map(|&parts| usize::from(parts)).sum(),
            ),
            expected: info.parts,
        }
    }

    /// Leaves a part, for a worker on memory node `node`. If it was the ticket's last, returns all of them as one.
    pub(super) fn bring(
        &self,
        number: u64,
        carrier: Carrier<T>,
        shared: &Shared,
        home: &Home<T>,
        node: u16,
    ) -> Option<Carrier<T>> {
        let source = shared.credits.source(carrier.ticket()) as usize;
        let expected = self.expected.get(source).copied().map_or(1, u32::from);
        let part = usize::from(carrier.part());
        let mut whole: Option<Carrier<T>> = None;
        self.meet
            .bring(number, part, carrier.into_box(), expected, |part| {
                let part = Carrier::from_box(part);
                whole = Some(match whole.take() {
                    Some(first) => merge(first, part, shared, home, node),
                    None => part,
                });
            });
        whole
    }
}

impl<T: 'static> Drop for Join<T> {
    fn drop(&mut self) {
        self.meet.clear(|part| drop(Carrier::from_box(part)));
    }
}

/// Two parts as one, in the order of their tags; of equal tags those of `a` come first.
fn merge<T: 'static>(
    mut a: Carrier<T>,
    mut b: Carrier<T>,
    shared: &Shared,
    home: &Home<T>,
    node: u16,
) -> Carrier<T> {
    if b.is_empty() {
        return a;
    }
    if a.is_empty() {
        return b;
    }
    shared.credits.share(a.ticket());
    let mut whole = home.carrier(node, a.ticket(), a.part());
    {
        let (tags, items) = a.parts();
        let mut first = tags.drain(..).zip(items.drain(..)).peekable();
        let (tags, items) = b.parts();
        let mut second = tags.drain(..).zip(items.drain(..)).peekable();
        loop {
            let from_first = match (first.peek(), second.peek()) {
                (Some((a, _)), Some((b, _))) => a <= b,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let next = if from_first {
                first.next()
            } else {
                second.next()
            };
            if let Some((tag, item)) = next {
                whole.push_tagged(tag, item);
            }
        }
    }
    whole
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join")
            .field("meet", &self.meet)
            .finish_non_exhaustive()
    }
}
