//! Finds the links whose items must carry their position in the source batch.
//!
//! When a ticket reaches an ordered link by several paths, its parts are merged in source order. The
//! positions are given out where the paths part, and every link from there to the merge hands them on.

use super::{LinkKind, Plan};

pub(super) fn tag(plan: &mut Plan) {
    let mut tagged = vec![false; plan.links.len()];
    for (link, found) in plan.links.iter().enumerate() {
        let joins = matches!(
            found.kind,
            LinkKind::Ordered | LinkKind::Keyed { ordered: true }
        );
        if joins && found.paths > 1 {
            let merged = (0..found.parts.len()).filter(|&source| found.parts[source] > 1);
            merged.for_each(|source| mark(plan, source, link, &mut tagged));
        }
    }
    for (link, found) in plan.links.iter_mut().enumerate() {
        found.tagged = tagged[link];
    }
    for segment in &mut plan.segments {
        segment.tagged = segment.outs.iter().any(|out| tagged[out.link]);
    }
}

/// Marks every link on a path from where the paths of `source` part to `merge`.
fn mark(plan: &Plan, source: usize, merge: usize, tagged: &mut [bool]) {
    let fork = fork(plan, source, merge);
    let below = reachable(plan, fork, None);
    for (segment, _) in below.iter().enumerate().filter(|(_, reached)| **reached) {
        for out in &plan.segments[segment].outs {
            if out.link == merge
                || reachable(plan, plan.links[out.link].segment, None)[plan.links[merge].segment]
            {
                tagged[out.link] = true;
            }
        }
    }
}

/// The last segment that every path from a source to a link passes in a single carrier.
fn fork(plan: &Plan, source: usize, merge: usize) -> usize {
    let end = plan.links[merge].segment;
    let passes_all =
        |segment: usize| segment == source || !reachable(plan, source, Some(segment))[end];
    // Segments come after what feeds them, and the first ones are those of the sources.
    let behind = (0..end)
        .rev()
        .filter(|&segment| segment == source || reachable(plan, source, None)[segment]);
    behind
        .into_iter()
        .find(|&segment| passes_all(segment) && is_single(plan, segment, source))
        .unwrap_or(source)
}

/// Does a ticket of the source come into this segment in one carrier?
fn is_single(plan: &Plan, segment: usize, source: usize) -> bool {
    match plan.segments[segment].head {
        super::Head::Link(link) => {
            plan.links[link].kind == LinkKind::Ordered || plan.links[link].parts[source] <= 1
        }
        _ => true,
    }
}

/// The segments that `start` feeds, itself included, by paths that do not pass `without`.
fn reachable(plan: &Plan, start: usize, without: Option<usize>) -> Vec<bool> {
    let mut reached = vec![false; plan.segments.len()];
    reached[start] = true;
    for segment in start..plan.segments.len() {
        if reached[segment] && without != Some(segment) {
            plan.segments[segment]
                .outs
                .iter()
                .for_each(|out| reached[plan.links[out.link].segment] = true);
        }
    }
    reached
}
