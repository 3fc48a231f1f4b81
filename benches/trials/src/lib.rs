//! The pipelines that `cargo xtask bench` measures. A trial is one run of one of them in a process of its own; what makes trials of
//! them is [`pipewright_bench::trial`].

#![forbid(unsafe_code)]

mod by_hand;
mod events;
mod guarded;
mod piped;
mod ranges;
mod signs;
mod work;

use pipewright_bench::trial::{About, Allocations, Trials};

use crate::{by_hand::ByHand, events::Events, guarded::Guarded, piped::Piped};

/// What takes these events and has these results: one of `bench impl`'s interfaces.
const EVENTS: &str = "events";

/// What this package measures.
pub fn trials(allocations: Option<Allocations>) -> Trials {
    let allocator = match allocations {
        Some(_) => "system, which is counted",
        None => "system",
    };
    let features = match cfg!(feature = "profiling") {
        true => "profiling",
        false => "none",
    };
    Trials::new(allocations)
        .built_with("allocator", allocator)
        .built_with("features", features)
        .batch(
            "fused",
            About::of("numbers through a map, a filter and a fold in one loop"),
            ranges::fused,
        )
        .batch(
            "keyed",
            About::of("numbers by one of a thousand keys, a state for each"),
            ranges::keyed,
        )
        .batch(
            "in-order",
            About::of("numbers through a map that any worker may do, into a state in their order"),
            ranges::in_order,
        )
        .subject::<Piped<Events>>(
            "events",
            About::of("events of six kinds: parse, enrich, price, apply by service, deliver")
                .implements(EVENTS)
                .levels(),
        )
        .subject::<ByHand>(
            "events-by-hand",
            About::of("the same by channels and threads: workers, and one more thread that applies")
                .implements(EVENTS)
                .levels()
                .allocates(),
        )
        .open_loop::<Piped<Guarded>>(
            "events-guarded",
            About::of("the same, but what waits too long is shed, and what comes too late opens a breaker")
                .levels(),
        )
        .one_by_one::<Piped<Events>>(
            "one-by-one",
            About::of("the same events, each sent when the one before it is done: how a closed loop sees them")
                .levels(),
        )
}
