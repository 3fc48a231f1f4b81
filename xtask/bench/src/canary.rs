//! A fixed piece of work that shows whether a machine is as it was: the canary.
//!
//! A round is the same work each time: a chain of additions, which follows the frequency, and a walk through 256 KiB, which follows the
//! second-level cache. Whoever compares measurements runs it before and after each of them: if it changed, the machine did.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Links of the chain in a whole round: some 40 ms.
const CHAIN: f64 = 60e6;
/// Steps of the walk in a whole round: some milliseconds.
const WALK: f64 = 1e6;
const NODES: usize = 256 * 1024 / 64;

/// The work.
#[derive(Clone, Debug)]
pub struct Work {
    /// The next node of each; a node is as long as a line of a cache.
    nodes: Vec<[usize; 8]>,
}

impl Default for Work {
    fn default() -> Self {
        // 1,597 has no divisor in common with the number of nodes, so the steps lead through all of them.
        let nodes = (0..NODES).map(|at| [(at + 1_597) % NODES; 8]).collect();
        Self { nodes }
    }
}

impl Work {
    /// How long a part of a round took, on the cpu that the caller is on; 1 is a whole round, about 45 ms.
    pub fn round(&self, part: f64) -> Duration {
        let [chain_links, steps] = [CHAIN, WALK].map(|whole| (whole * part) as u32);
        let began = Instant::now();
        black_box(chain(chain_links, 1, black_box(0x5DEE_CE66)));
        black_box(self.walk(steps));
        began.elapsed()
    }

    fn walk(&self, steps: u32) -> usize {
        let mut at = 0;
        for _ in 0..steps {
            at = self.nodes[at][0];
        }
        at
    }
}

#[inline(never)]
fn chain(links: u32, mut x: u64, k: u64) -> u64 {
    for _ in 0..links {
        x = (x ^ k).rotate_left(7);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_leads_through_all_nodes() {
        let work = Work::default();
        let mut seen = vec![false; NODES];
        let mut at = 0;
        for _ in 0..NODES {
            seen[at] = true;
            at = work.nodes[at][0];
        }
        assert!(seen.iter().all(|seen| *seen) && at == 0);
        assert_eq!(work.walk(NODES as u32), 0);
        assert_eq!(work.walk(1), 1_597);
    }

    #[test]
    fn every_link_of_the_chain_counts() {
        assert_ne!(chain(10, 1, 2), chain(11, 1, 2));
        assert_eq!(chain(1, 1, 3), 2 << 7);
    }
}
