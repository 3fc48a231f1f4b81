//! `keyed_*`: items of a million keys, uniform or Zipf 1.1, each changing the state of its key in the order in which they
//! came; two workers.
//!
//! What leaves is the key's state after each item, added up. A state depends on the order of its key's items, so the sum is
//! right only if the order of every key was kept.

mod hand;
mod ours;
mod peers;

use std::sync::Arc;

use crate::harness::{Contender, Sample, Scale};

/// How the keys are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Uniform,
    Zipf,
}

/// The state of a key after an item more.
#[inline(always)]
pub(crate) fn stepped(state: u64, number: u64) -> u64 {
    (state ^ number)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(23)
}

/// The keys of all items in their order; an item's number is its place.
type Items = Arc<[u32]>;

/// Items, and what has to come out.
#[derive(Clone)]
struct Task {
    scale: Scale,
    keys: usize,
    items: Items,
    sum: u64,
}

impl Task {
    fn new(scale: Scale, drawn: Keys) -> Self {
        let keys = scale.of(1_000_000, 500);
        let count = scale.of(4_000_000, 5_000);
        let items: Items = draw(drawn, keys, count).into();
        let mut states = vec![0; keys];
        let sum = items.iter().zip(0..).fold(0u64, |sum, (key, number)| {
            let state = &mut states[*key as usize];
            *state = stepped(*state, number);
            sum.wrapping_add(*state)
        });
        Self {
            scale,
            keys,
            items,
            sum,
        }
    }

    fn work(
        &self,
        mut run: impl FnMut(Items, usize) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        let task = self.clone();
        move || {
            let count = task.items.len() as u64;
            task.scale
                .rate(count, &task.sum, || run(Arc::clone(&task.items), task.keys))
        }
    }
}

/// Draws keys, the same ones in every run. The ranks of a Zipf distribution are spread over the numbers, so that keys that
/// are often drawn are no neighbours.
fn draw(drawn: Keys, keys: usize, count: usize) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(23);
    if drawn == Keys::Uniform {
        return (0..count).map(|_| random.u32(..keys as u32)).collect();
    }
    let mut below = 0.0;
    let weights = (1..=keys).map(|rank| {
        below += (rank as f64).powf(-1.1);
        below
    });
    let weights: Vec<f64> = weights.collect();
    let mut names: Vec<u32> = (0..keys as u32).collect();
    random.shuffle(&mut names);
    let key = |_| {
        let at = random.f64() * below;
        let rank = weights.partition_point(|weight| *weight <= at);
        names[rank.min(keys - 1)]
    };
    (0..count).map(key).collect()
}

pub(crate) fn contenders(scale: Scale, drawn: Keys) -> Vec<Contender> {
    let task = Task::new(scale, drawn);
    let mut all = ours::contenders(&task);
    all.extend(hand::contenders(&task));
    all.extend(peers::contenders(&task));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_few_keys_often_and_uniform_draws_all_alike() {
        let most = |drawn| {
            let mut counts = vec![0; 100];
            draw(drawn, 100, 10_000)
                .into_iter()
                .for_each(|key| counts[key as usize] += 1);
            counts.into_iter().max()
        };
        assert!(most(Keys::Zipf) > Some(1500));
        assert!(most(Keys::Uniform) < Some(200));
    }
}
