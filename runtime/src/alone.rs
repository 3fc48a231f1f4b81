//! A worker that has the whole pipeline to itself.
//!
//! It takes all tickets (see [`crate::credit`]) and runs source to sink in one loop, round by round, until there is nothing
//! more or sharing pays: it has worked for as long as waking the others takes, and an item costs enough to be worth a
//! hand-over.

use crate::{
    batch::Due, graph::Graph, reserve::Own, rest::WAKE_NS, shelf::Shelf, source::Pulled,
    worker::Worker,
};

/// Runs the whole pipeline in one loop while nobody else has a ticket. False if that could not be, or nothing was there.
pub(crate) fn alone<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let begun = w.now();
    let ready = shared
        .sources
        .iter()
        .any(|source| source.is_ready_in(w.lane, begun));
    if !ready || !shared.credits.take_all() {
        return false;
    }
    // Nobody is woken for what this worker looks at again before it gives the tickets back.
    w.rest.searched = false;
    w.start_looking();
    w.alone = true;
    let graph = shelf.alone();
    if let Some(local) = own.get(graph, w) {
        rounds(graph, local, w, begun);
    }
    w.alone = false;
    shared.credits.open();
    // If it is alone no more; else it looks again at once, or says that it does not.
    if shared.is_parallel() {
        w.stop_looking();
        w.call_reserve();
        shared.idle.wake_all();
    }
    true
}

/// Goes on until there is nothing more, or sharing pays.
fn rounds<G: Graph>(graph: &mut G, local: &mut G::Local, w: &mut Worker<'_>, begun: u64) {
    let shared = w.shared;
    loop {
        let more = round(graph, local, w);
        let now = w.now();
        // Asked first: what lingers when sources pause would not be looked at again before they go on.
        let paused = shared.is_paused();
        // What waits for others is not done.
        let linger = more && !paused && shared.may_linger() && !shared.has_acks;
        graph.flush(local, w, if linger { Due::At(now) } else { Due::All });
        if shared.has_acks {
            shared.all_done();
        }
        if !more || shared.is_stopping() || paused {
            break;
        }
        if shared.settings.workers > 1
            && now - begun > WAKE_NS
            && shared.sources.iter().any(|s| s.is_worth_sharing())
        {
            shared.set_parallel(true);
            graph.flush(local, w, Due::All);
            break;
        }
    }
}

/// Asks the sources of the most urgent lane that has something; false if none had anything.
fn round<G: Graph>(graph: &mut G, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let first = w.first_lane();
    for lane in shared.lanes.used().from(first) {
        w.lane = lane;
        let mut more = false;
        for source in 0..shared.sources.len() {
            if shared.is_stopping() {
                return false;
            }
            if shared.sources[source].is_ready_in(lane, w.now()) {
                more |= graph.solo(source, local, w) == Pulled::More;
            }
        }
        if more {
            w.stats().pulled.add(1);
            shared.lanes.served(lane, w.now());
            return true;
        }
    }
    false
}
