//! Pieces of the runtime, each by itself: `pipewright::measure` runs them.

use pipewright::measure;

use super::{Plan, Reading, clock_ns, nanoseconds, quantiles};
use pipewright_bench::random::Random;

pub(super) fn token(plan: &Plan) -> Vec<Reading> {
    let own = plan.each(plan.n(1_000_000), measure::token);
    let two = plan.each(plan.n(2_000_000), |n| measure::token_of_two(n.div_ceil(2)));
    let ticket = plan.each(plan.n(1_000_000), measure::ticket);
    vec![
        Reading::new("B4.own", own),
        Reading::new("B4.two", two),
        Reading::new("B4.ticket", ticket),
    ]
}

pub(super) fn gate(plan: &Plan) -> Vec<Reading> {
    let own = plan.each(plan.n(1_000_000), measure::gate);
    let two = plan.each(plan.n(2_000_000), |n| measure::gate_of_two(n.div_ceil(2)));
    let item = two.iter().map(|batch| batch / 512.0).collect();
    vec![
        Reading::new("B5.own", own),
        Reading::new("B5.two", two),
        Reading::new("B5.item", item),
    ]
}

pub(super) fn hold(plan: &Plan) -> Vec<Reading> {
    let held = plan.each(plan.n(1_000_000), measure::gate_held);
    vec![Reading::new("B6", held)]
}

pub(super) fn deque(plan: &Plan) -> Vec<Reading> {
    vec![Reading::new(
        "B7",
        plan.each(plan.n(1_000_000), measure::deque),
    )]
}

pub(super) fn steal(plan: &Plan) -> Vec<Reading> {
    let taken = plan.each(plan.n(1_000_000), measure::steal);
    let nothing = plan.each(plan.n(1_000_000), measure::steal_nothing);
    vec![
        Reading::new("B8.taken", taken),
        Reading::new("B8.nothing", nothing),
    ]
}

pub(super) fn input(plan: &Plan) -> Vec<Reading> {
    let singles = plan.rounds(|| {
        let (mut each, clock) = (Vec::new(), clock_ns());
        measure::sends(plan.n(200_000), &mut each);
        let without = each.iter().map(|time| (*time as f64 - clock).max(0.0));
        quantiles(without.collect(), [0.5, 0.99])
    });
    let n = plan.n(1_000_000);
    let batches = plan.rounds(|| measure::send_batches(n).map(|time| nanoseconds(time) / n as f64));
    let part = |of: &[[f64; 2]], i: usize| of.iter().map(|pair| pair[i]).collect();
    vec![
        Reading::new("B9.p50", part(&singles, 0)),
        Reading::new("B9.p99", part(&singles, 1)),
        Reading::new("B9.batch", part(&batches, 0)),
        Reading::new("B9.take", part(&batches, 1)),
        Reading::new("B9.known", plan.each(n, measure::wake_nobody)),
    ]
}

pub(super) fn ring(plan: &Plan) -> Vec<Reading> {
    let trips = plan.each(plan.n(200_000), measure::ring_trips);
    let hop = trips.iter().map(|trip| trip / 2.0).collect();
    let bursts = plan.each(plan.n(10_000_000), measure::ring_bursts::<10>);
    vec![
        Reading::new("B10.hop", hop),
        Reading::new("B10.item", bursts),
    ]
}

pub(super) fn hop(plan: &Plan) -> Vec<Reading> {
    /// 16 KiB.
    const WORDS: usize = 2048;
    let control = plan.rounds(|| {
        let hops = measure::hops(plan.n(50_000), 0);
        nanoseconds(hops.hops) / hops.count as f64
    });
    let payload = plan.rounds(|| {
        let hops = measure::hops(plan.n(10_000), WORDS);
        nanoseconds(hops.reading) / hops.read as f64 - clock_ns()
    });
    vec![
        Reading::new("B11.control", control),
        Reading::new("B11.payload", payload),
    ]
}

pub(super) fn keyed(plan: &Plan) -> Vec<Reading> {
    const KEYS: usize = 1_000_000;
    const BATCH: usize = 4096;
    let n = plan.n(1_000_000) as usize;
    let mut random = Random(0x5EED);
    let uniform: Vec<u64> = (0..n).map(|_| random.next_u64() % KEYS as u64).collect();
    let zipf = zipf(&mut random, KEYS, 1.1, n);
    let item = |keys: &[u64]| {
        let scatter = measure::scatter(keys, BATCH, 2);
        nanoseconds(scatter.dividing) / scatter.items as f64
    };
    let part = || {
        let scatter = measure::scatter(&uniform, BATCH, 2);
        nanoseconds(scatter.activating) / scatter.parts as f64
    };
    vec![
        Reading::new("B15.uniform", plan.rounds(|| item(&uniform))),
        Reading::new("B15.zipf", plan.rounds(|| item(&zipf))),
        Reading::new("B15.part", plan.rounds(part)),
    ]
}

/// `n` keys below `keys`, where the `k`th most frequent one comes with a frequency like `1 / k^exponent`.
fn zipf(random: &mut Random, keys: usize, exponent: f64, n: usize) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    let mut draw = || {
        let at = random.unit() * sum;
        sums.partition_point(|below| *below < at) as u64
    };
    (0..n).map(|_| draw()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_of_a_zipf_distribution_is_the_most_frequent() {
        let keys = zipf(&mut Random(1), 1000, 1.1, 100_000);
        let count = |key: u64| keys.iter().filter(|one| **one == key).count();
        assert!(keys.iter().all(|key| *key < 1000));
        // 2^1.1 is 2.14.
        let ratio = count(0) as f64 / count(1) as f64;
        assert!((1.9..2.4).contains(&ratio), "{ratio}");
    }
}
