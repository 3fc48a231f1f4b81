//! The levels of memory, from the time of an access at growing sizes.

use serde::{Deserialize, Serialize};

/// Sizes over which an access takes about as long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The smallest size, in bytes.
    pub from: f64,
    /// The largest size, in bytes.
    pub to: f64,
    /// What an access takes there: the least.
    pub ns: f64,
}

/// By how much an access may take longer than at the plateau's least.
const FLAT: f64 = 1.25;
/// By how much an access takes longer where another level begins; what rises by less is the same level.
const STEP: f64 = 1.4;

/// The plateaus of a curve of (size, ns) with ascending sizes. A plateau has at least two sizes, except the last one, which may
/// have only been reached; what lies on the slope between two plateaus belongs to neither.
pub fn plateaus(curve: &[(f64, f64)]) -> Vec<Plateau> {
    let mut found: Vec<Plateau> = Vec::new();
    let mut at = 0;
    while at < curve.len() {
        let (from, ns) = curve[at];
        let flat = curve[at..]
            .iter()
            .take_while(|(_, other)| *other <= ns * FLAT && *other >= ns / FLAT);
        let count = flat.count().max(1);
        let (to, _) = curve[at + count - 1];
        let ns = curve[at..at + count]
            .iter()
            .map(|(_, ns)| *ns)
            .fold(ns, f64::min);
        let last = at + count == curve.len();
        match found.last_mut() {
            Some(before) if ns < before.ns * STEP => before.to = to,
            _ if count >= 2 || last => found.push(Plateau { from, to, ns }),
            _ => {}
        }
        at += count;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: f64 = 1024.0;

    fn check(ns: &[f64], expect: &[(f64, f64, f64)]) {
        let curve: Vec<(f64, f64)> = ns
            .iter()
            .enumerate()
            .map(|(power, ns)| (16.0 * KIB * 2f64.powi(power as i32), *ns))
            .collect();
        let found: Vec<(f64, f64, f64)> = plateaus(&curve)
            .iter()
            .map(|plateau| (plateau.from / KIB, plateau.to / KIB, plateau.ns))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn caches_and_memory_are_levels() {
        // 32 KiB, 1 MiB and 32 MiB of caches, as a server has them.
        let curve = [
            1.2, 1.2, 3.0, 4.2, 4.3, 4.5, 5.0, 12.0, 14.0, 14.5, 15.0, 22.0, 88.0, 104.0, 110.0,
        ];
        check(
            &curve,
            &[
                (16.0, 32.0, 1.2),
                (128.0, 1024.0, 4.2),
                (2048.0, 16384.0, 12.0),
                (65536.0, 262144.0, 88.0),
            ],
        );
    }

    #[test]
    fn one_level_is_one_plateau() {
        check(&[2.0, 2.1, 2.0, 2.2], &[(16.0, 128.0, 2.0)]);
        check(&[5.0], &[(16.0, 16.0, 5.0)]);
        check(&[], &[]);
    }

    #[test]
    fn a_level_that_is_only_reached_at_the_end_counts() {
        check(&[1.0, 1.0, 90.0], &[(16.0, 32.0, 1.0), (64.0, 64.0, 90.0)]);
    }

    #[test]
    fn a_dip_is_no_level() {
        check(&[10.0, 10.5, 7.0, 10.0, 10.2], &[(16.0, 256.0, 10.0)]);
    }
}
