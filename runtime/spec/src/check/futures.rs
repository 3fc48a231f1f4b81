//! Rules about `async fn`: what polls its futures, and in which order they end.

use crate::model::{Model, Place, Stage};
use crate::options::{Key, Order, info};
use crate::report::{Problem, Problems};

/// Workers of the pool poll futures when they are woken, many at once.
pub(super) fn shape<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model.stages.iter().filter(|stage| stage.is_async()) {
        for (key, what, help) in misfits(stage) {
            let Some(place) = stage.options.given(key) else {
                continue;
            };
            let (key, name) = (info(key).name, &stage.name.text);
            let message = format!("`{key}` of `{name}`, which is an `async fn`: {what}");
            problems.push(Problem::new("E_ASYNC", message, place.clone()).help(help));
        }
    }
}

/// Keys that do not go with an `async fn`, why, and what to do.
fn misfits<P: Place>(stage: &Stage<P>) -> Vec<(Key, &'static str, &'static str)> {
    let mut misfits = vec![
        (
            Key::Cores,
            "its futures are polled by the workers of the pool, whichever is free",
            "remove `cores`; what computes for long goes on a stage of its own",
        ),
        (
            Key::Simd,
            "a future is polled, not called in a loop",
            "remove `simd`, or compute on a stage of its own",
        ),
        (
            Key::Prefetch,
            "a future is polled, not called in a loop",
            "put `prefetch` on a stage of its own in front",
        ),
    ];
    let keeps = |order: &crate::model::Given<Order, P>| order.value == Order::Keep;
    if stage.is_sink() && stage.options.order.as_ref().is_some_and(keeps) {
        misfits.push((
            Key::Order,
            "its futures are under way at once, so it sees no order",
            "remove `order`, or end in a plain `fn`, which sees what an `async fn` before it sends in order",
        ));
    }
    misfits
}
