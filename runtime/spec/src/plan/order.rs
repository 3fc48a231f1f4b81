//! Topological order, and the cycle that there is where there is none.

use crate::model::{Model, Place};

/// The stages that each stage reads, each once, as indices; unknown names are left out.
pub(crate) fn producers<P: Place>(model: &Model<P>) -> Vec<Vec<usize>> {
    let mut all = Vec::with_capacity(model.stages.len());
    for stage in &model.stages {
        let mut found: Vec<usize> = stage
            .from
            .iter()
            .filter(|door| !door.is_input())
            .filter_map(|door| model.find(&door.stage.text))
            .collect();
        found.sort_unstable();
        found.dedup();
        all.push(found);
    }
    all
}

/// The stages, producers before consumers; the stages of a cycle and those behind it are left out.
///
/// Among those that are ready the one written first comes first.
pub(crate) fn topological<P: Place>(model: &Model<P>) -> Vec<usize> {
    let producers = producers(model);
    let mut readers = vec![Vec::new(); producers.len()];
    for (stage, read) in producers.iter().enumerate() {
        read.iter()
            .for_each(|&producer| readers[producer].push(stage));
    }
    let mut waits: Vec<usize> = producers.iter().map(Vec::len).collect();
    let mut ready: std::collections::BTreeSet<usize> = (0..waits.len())
        .filter(|&stage| waits[stage] == 0)
        .collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(stage) = ready.pop_first() {
        order.push(stage);
        for &reader in &readers[stage] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    order
}

/// Stages that feed each other in a circle, each feeding the next and the last feeding the first.
pub(crate) fn cycle<P: Place>(model: &Model<P>) -> Option<Vec<usize>> {
    let producers = producers(model);
    let sorted = topological(model);
    let stuck = |stage: &usize| !sorted.contains(stage);
    // Every stuck stage reads a stuck stage, so walking upwards from any must come around.
    let mut walk = vec![(0..producers.len()).find(|stage| stuck(stage))?];
    loop {
        let last = *walk.last()?;
        let next = producers[last].iter().copied().find(|stage| stuck(stage))?;
        if let Some(start) = walk.iter().position(|&stage| stage == next) {
            let mut circle = walk.split_off(start);
            circle.reverse();
            let first = (0..circle.len()).min_by_key(|&n| circle[n])?;
            circle.rotate_left(first);
            return Some(circle);
        }
        walk.push(next);
    }
}
