//! The tails of slow batches: a worker that runs one leaves a part of it to others that have nothing to do.
//!
//! A batch is formed before its items have been seen, so it may turn out to be much longer than a quantum. The loop over it
//! looks up now and then (see [`crate::look_up`]). If what is left will take longer than two wake-ups and another worker is
//! idle, the back half of the items moves into a carrier of its own, which any worker takes as a task; whoever runs it may
//! divide it further.
//!
//! **Tickets.** A tail takes a ticket of its own, so every bound that follows from the number of tickets holds; if none is
//! free, nothing is divided.
//!
//! **Order.** Where no gate further on keeps order ([`Division::Free`]), a tail is a batch like any other. Else
//! ([`Division::Regrouped`]) it is a *piece* of the batch that it came from: its ticket names the root, the ticket of that
//! batch, and the place of its first item there. A gate has one number for the root, so all pieces come together before they
//! pass it (see [`crate::regroup`]). The root counts its pieces, and is not free before they are. This is done for the batches
//! that sources give: there a ticket has one batch, so every gate further on waits for the same pieces. At a link further on,
//! a ticket may have several batches that are divided in different ways, and nothing is.
//!
//! **What is not divided**: what waits for a gate (its items have one state), what pinned threads run, loops for vector
//! levels, and morsels of a source whose items are known to cost next to nothing: their loop has no limit at which it could
//! look up.

use std::sync::Arc;

use pipewright_spec::info::{LinkKindInfo, TopologyInfo};

use crate::{
    carrier::{Carrier, Pool},
    drive::Watch,
    settings::Settings,
};

/// Whether batches that come by a link, or from a source, may be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// They are not.
    Never,
    /// Their tails are batches of their own.
    Free,
    /// Their pieces come together before a gate that keeps order.
    Regrouped,
}

/// The division at each link, then at each source.
pub(crate) fn divisions(info: &TopologyInfo, settings: &Settings) -> Box<[Division]> {
    let links = (0..info.links.len()).map(|link| at_link(info, link));
    let sources = (0..info.sources.len()).map(|source| at_source(info, source));
    let shared = settings.workers > 1;
    links
        .chain(sources)
        .map(|division| if shared { division } else { Division::Never })
        .collect()
}

fn at_source(info: &TopologyInfo, source: usize) -> Division {
    let from = &info.sources[source];
    if from
        .stage
        .is_some_and(|stage| info.pinned_with(stage).is_some())
    {
        return Division::Never;
    }
    if from.gates.is_empty() {
        Division::Free
    } else {
        Division::Regrouped
    }
}

fn at_link(info: &TopologyInfo, link: usize) -> Division {
    let direct = info.links[link].kind == LinkKindInfo::Direct;
    let first = info.links[link].to;
    if direct && info.pinned_with(first).is_none() && !keeps_order_behind(info, first) {
        Division::Free
    } else {
        Division::Never
    }
}

/// Is there a gate that keeps order behind `first`, however far?
fn keeps_order_behind(info: &TopologyInfo, first: u16) -> bool {
    let mut seen = vec![false; info.stages.len()];
    let mut ahead = vec![first];
    while let Some(stage) = ahead.pop() {
        if std::mem::replace(&mut seen[usize::from(stage)], true) {
            continue;
        }
        for (reader, of) in info.stages.iter().enumerate() {
            if !of.inputs.iter().any(|door| door.stage == stage) {
                continue;
            }
            let ordered = |link: &pipewright_spec::info::LinkInfo| {
                usize::from(link.to) == reader
                    && matches!(
                        link.kind,
                        LinkKindInfo::Ordered | LinkKindInfo::Keyed { ordered: true }
                    )
            };
            if info.links.iter().any(ordered) {
                return true;
            }
            ahead.push(reader as u16);
        }
    }
    false
}

/// An empty carrier for the items from `place` on of the batch with this ticket; `None` if no ticket is free.
pub(crate) fn begin<T: 'static>(
    w: Watch<'_>,
    home: &Arc<Pool<T>>,
    ticket: u32,
    part: u16,
    place: u32,
) -> Option<Carrier<T>> {
    let credits = &w.shared.credits;
    let tail = credits.take(credits.source(ticket), credits.lane(ticket))?;
    credits.set_batch(tail, credits.batch(ticket));
    credits.set_until(tail, credits.until(ticket));
    if w.shared.division(home.link()) == Division::Regrouped {
        credits.divide(ticket, tail, place);
    } else {
        credits.set_place(tail, place);
        if w.shared.has_acks {
            credits.attach(ticket, tail);
        }
    }
    Some(home.carrier(w.node, tail, part))
}

/// Leaves a tail to whichever worker is free first.
pub(crate) fn leave<T: 'static>(w: Watch<'_>, tail: Carrier<T>) {
    let stats = w.stats();
    stats.left.add(1);
    stats.items_left.add(tail.len() as u64);
    w.shared.leave(tail);
}
