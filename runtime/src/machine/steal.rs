//! Whom a worker steals from: the nearest first.
//!
//! Workers that share a core share all its caches; then come those that share a third-level cache, those on the same
//! memory node, and the rest of the machine. Within a level the first victim is random, so that thieves do not queue up
//! at the same one (Blumofe and Leiserson, "Scheduling Multithreaded Computations by Work Stealing", JACM 46(5), 1999).

use super::Cpu;

/// How near two cpus are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    /// The same physical core.
    Core,
    /// The same third-level cache.
    Cache,
    /// The same memory node.
    Node,
    /// The same machine.
    Machine,
}

impl Distance {
    const ALL: [Self; 4] = [Self::Core, Self::Cache, Self::Node, Self::Machine];

    pub(crate) fn between(a: &Cpu, b: &Cpu) -> Self {
        if a.core == b.core {
            Self::Core
        } else if a.node != b.node {
            Self::Machine
        } else if a.l3 == b.l3 {
            Self::Cache
        } else {
            Self::Node
        }
    }
}

/// The other workers, by distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victims {
    /// No level is empty.
    levels: Box<[Box<[u8]>]>,
    /// State of the random numbers; never zero.
    random: u32,
}

impl Victims {
    /// Those of worker `me`, where worker `i` sits on `cpus[i]`.
    pub(super) fn of(me: usize, cpus: &[Cpu]) -> Self {
        let at = |distance: Distance| -> Box<[u8]> {
            let others = cpus.iter().enumerate().filter(|(other, _)| *other != me);
            others
                .filter(|(_, cpu)| Distance::between(&cpus[me], cpu) == distance)
                .map(|(other, _)| other as u8)
                .collect()
        };
        let levels = Distance::ALL.into_iter().map(at);
        Self {
            levels: levels.filter(|level| !level.is_empty()).collect(),
            // Any odd number will do; it differs from worker to worker.
            random: (me as u32 + 1).wrapping_mul(0x9E37_79B9) | 1,
        }
    }

    /// With others that come behind all of them.
    pub(super) fn and(self, others: impl Iterator<Item = usize>) -> Self {
        let last: Box<[u8]> = others.map(|other| other as u8).collect();
        let levels = self.levels.into_vec().into_iter().chain([last]);
        Self {
            levels: levels.filter(|level| !level.is_empty()).collect(),
            ..self
        }
    }

    /// Asks the workers one after the other, the nearest first, until one has something.
    pub(crate) fn find<T>(&mut self, mut ask: impl FnMut(usize) -> Option<T>) -> Option<T> {
        for level in 0..self.levels.len() {
            let start = self.start(level);
            let (before, from) = self.levels[level].split_at(start);
            for &victim in from.iter().chain(before) {
                let found = ask(usize::from(victim));
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    fn start(&mut self, level: usize) -> usize {
        let among = self.levels[level].len() as u32;
        if among < 2 {
            return 0;
        }
        // xorshift32: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        (self.random % among) as usize
    }

    /// The levels, for tests.
    #[cfg(test)]
    pub(crate) fn levels(&self) -> Vec<Vec<usize>> {
        let numbers = |level: &[u8]| level.iter().map(|id| usize::from(*id)).collect();
        self.levels.iter().map(|level| numbers(level)).collect()
    }
}
