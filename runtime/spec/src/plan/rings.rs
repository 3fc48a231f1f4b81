//! Finds the links between two pinned threads that are rings of items.
//!
//! Batches carry the ticket of their pull: it orders them at the gates behind, and joins what was parted. A ring carries
//! items and no tickets. So a link is a ring if nothing behind it needs a ticket: one pinned thread feeds another, and
//! behind that one there are rings only, or nothing. A guarded stage takes batches and gives batches: what waits in it has a
//! ticket, which says until when it is of use and bounds how much of it there is.

use super::{LinkKind, Plan};

pub(super) fn find(plan: &mut Plan) {
    // Links come in the order of the stream, so those behind a link are known before it.
    for link in (0..plan.links.len()).rev() {
        if is_ring(plan, link) {
            plan.links[link].kind = LinkKind::Ring;
        }
    }
}

fn is_ring(plan: &Plan, link: usize) -> bool {
    let found = &plan.links[link];
    let behind = &plan.segments[found.segment];
    let mut producers = plan
        .segments
        .iter()
        .filter(|segment| segment.outs.iter().any(|out| out.link == link));
    let one = producers
        .next()
        .is_some_and(|producer| producer.has_one_thread() && !producer.waits())
        && producers.next().is_none();
    let goes_on = |kind| kind == LinkKind::Ring;
    one && !found.tagged
        && behind.has_one_thread()
        && !behind.waits()
        && behind
            .outs
            .iter()
            .all(|out| goes_on(plan.links[out.link].kind))
}
