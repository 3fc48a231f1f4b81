//! Hashing keys with vectors, against the hash that keyed links use: what it would save, though it is not built.

use std::{
    hash::{BuildHasher, RandomState},
    hint::black_box,
    time::Duration,
};

use foldhash::{SharedSeed, quality::SeedableRandomState};

use super::timed;
use crate::simd::{Available, Body, Lanes, Level, Levels, dispatch};

/// Keys that are hashed together.
const TOGETHER: usize = 64;
/// Partitions of a keyed stage of two workers.
const PARTITIONS: usize = 16;

/// How keys are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// One by one with foldhash, as keyed links do.
    Foldhash,
    /// By multiplications and shifts, 64 keys at a time, compiled for this level or for the best one below that there is.
    Multiplied(Level),
}

/// The time to hash all keys (rounded down to 64).
pub fn hash_keys(keys: &[u64], how: KeyHash) -> Duration {
    over_blocks(keys, how, |_, hashes| {
        black_box(hashes);
    })
}

/// The time to hash all keys (rounded down to 64) and to move each with its hash to the bin of its partition, of 16; the
/// bins are emptied every 4096 keys.
pub fn divide_keys(keys: &[u64], how: KeyHash) -> Duration {
    let mut bins: [Vec<(u64, u64)>; PARTITIONS] = std::array::from_fn(|_| Vec::with_capacity(4096));
    let mut divided = 0;
    over_blocks(keys, how, |keys, hashes| {
        for (key, hash) in keys.iter().zip(hashes) {
            bins[(hash >> 32) as usize % PARTITIONS].push((*hash, *key));
        }
        divided += TOGETHER;
        if divided.is_multiple_of(4096) {
            black_box(&mut bins).iter_mut().for_each(Vec::clear);
        }
    })
}

fn over_blocks(
    keys: &[u64],
    how: KeyHash,
    mut hashed: impl FnMut(&[u64; TOGETHER], &[u64; TOGETHER]),
) -> Duration {
    let seed = RandomState::new().hash_one(());
    let foldhash = SeedableRandomState::with_seed(seed, SharedSeed::global_random());
    let (machine, mut block) = (Available::detected(), Block([0; TOGETHER], [0; TOGETHER]));
    timed(|| {
        for keys in keys.as_chunks().0 {
            block.0 = *keys;
            match how {
                KeyHash::Foldhash => fold(&foldhash, &mut block),
                KeyHash::Multiplied(level) => {
                    let levels = [Level::Sse42, Level::Avx2, Level::Avx512, Level::Neon];
                    let body = Multiply(seed);
                    dispatch(machine.up_to(level), Levels::of(&levels), body, &mut block);
                }
            }
            hashed(&block.0, &block.1);
        }
    })
}

/// Keys, and their hashes.
struct Block([u64; TOGETHER], [u64; TOGETHER]);

#[inline(never)]
fn fold(foldhash: &SeedableRandomState, block: &mut Block) {
    for (key, hash) in block.0.iter().zip(&mut block.1) {
        *hash = foldhash.hash_one(key);
    }
}

/// The mixer of splitmix64 (Steele et al., OOPSLA 2014), of the key and this seed: it has an inverse, so no two keys collide.
struct Multiply(u64);

impl Body for Multiply {
    type Context = Block;

    #[inline(always)]
    fn run<L: Lanes>(self, block: &mut Block) {
        for (key, hash) in block.0.iter().zip(&mut block.1) {
            let mut mixed = key ^ self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *hash = mixed ^ (mixed >> 31);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_hashes_alike_and_into_all_partitions() {
        let keys: [u64; TOGETHER] = std::array::from_fn(|n| n as u64);
        let hashes = |level| {
            let mut block = Block(keys, [0; TOGETHER]);
            let machine = Available::detected().up_to(level);
            let levels = [Level::Sse42, Level::Avx2, Level::Avx512, Level::Neon];
            dispatch(machine, Levels::of(&levels), Multiply(7), &mut block);
            block.1
        };
        let expect = hashes(Level::Baseline);
        for level in [Level::Sse42, Level::Avx2, Level::Avx512, Level::Neon] {
            assert_eq!(hashes(level), expect, "{level}");
        }
        let partitions = expect.map(|hash| (hash >> 32) as usize % PARTITIONS);
        let distinct: std::collections::HashSet<usize> = partitions.into_iter().collect();
        assert!(distinct.len() > PARTITIONS / 2, "{distinct:?}");
    }
}
