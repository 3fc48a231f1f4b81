//! `prefetch` keeps the order of items: what waits in front of a stage is not overtaken by what goes another way.

use std::collections::BTreeSet;

use crate::model::{Model, Place, Stage};
use crate::options::Order;
use crate::report::{Problem, Problems};

/// Where ways of the same items meet again, all of them or none wait in front of a stage with `prefetch`.
pub(super) fn order<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (at, stage) in model.stages.iter().enumerate() {
        // In front of a guarded stage nothing waits outside of its batch.
        let Some(prefetch) = stage
            .options
            .prefetch
            .as_ref()
            .filter(|_| !stage.is_guarded())
        else {
            continue;
        };
        let come = before(model, at, None);
        let meeting = (0..model.stages.len()).find(|&other| {
            let reader = &model.stages[other];
            other != at
                && reader.from.len() > 1
                && keeps_order(reader)
                && before(model, other, None).contains(&Some(at))
                && roots(model, &before(model, other, Some(at))).any(|root| come.contains(&root))
        });
        if let Some(meeting) = meeting {
            let (name, meeting) = (&stage.name.text, &model.stages[meeting].name.text);
            let message = format!(
                "items wait in front of `{name}`, and others would overtake them on their way to `{meeting}`"
            );
            problems.push(
                Problem::new("E_PREFETCH_ORDER", message, prefetch.key.clone()).help(format!(
                    "put `prefetch` on a stage that all of them pass, or write `order = any` on `{meeting}`"
                )),
            );
        }
    }
}

fn keeps_order<P>(stage: &Stage<P>) -> bool {
    let order = stage.options.order.as_ref();
    order.is_none_or(|given| given.value == Order::Keep)
}

/// A stage, or the input.
type Origin = Option<usize>;

/// Everything that items come from on their way to a stage, ways through `without` left out.
fn before<P: Place>(model: &Model<P>, stage: usize, without: Origin) -> BTreeSet<Origin> {
    let (mut found, mut left) = (BTreeSet::new(), vec![stage]);
    while let Some(stage) = left.pop() {
        for door in &model.stages[stage].from {
            let origin = match door.is_input() {
                true => None,
                false => match model.find(&door.stage.text) {
                    Some(producer) => Some(producer),
                    None => continue,
                },
            };
            if (origin.is_some() && origin == without) || !found.insert(origin) {
                continue;
            }
            left.extend(origin);
        }
    }
    found
}

/// Those of them that items enter by.
fn roots<'m, P: Place>(
    model: &'m Model<P>,
    origins: &'m BTreeSet<Origin>,
) -> impl Iterator<Item = Origin> + 'm {
    let enters = |origin: &Origin| origin.is_none_or(|stage| model.stages[stage].from.is_empty());
    origins.iter().copied().filter(enters)
}
