//! What each vector level does in its own way. The types are not public: only [`dispatch`](super::level::dispatch) names
//! them, inside of functions that are compiled for their features, so whoever is given one runs on a machine that has it.

/// Items of a block.
pub(super) const BLOCK: usize = 64;
/// Places that packing a block may write to: a vector store writes whole vectors.
pub(super) const ROOM: usize = BLOCK + 16;

/// How a level turns the results of a filter into a mask, and packs what is kept.
pub trait Lanes {
    /// Its name.
    const NAME: &'static str;
    /// Are blocks faster than single items?
    const BLOCKS: bool;
    /// Are the flags of items of 4 and 8 bytes as wide as the items? Vectors of them become masks at once.
    const WIDE: bool = false;
    /// Does it pack numbers of 4 and 8 bytes with vector instructions?
    const PACKS: bool = false;

    /// Bit `i` says that `flags[i]` is not 0. Flags are 0 or all ones.
    #[inline(always)]
    fn mask64(flags: &[u64; BLOCK]) -> u64 {
        mask(flags, |flag| flag & 1)
    }

    /// As [`Self::mask64`].
    #[inline(always)]
    fn mask32(flags: &[u32; BLOCK]) -> u64 {
        mask(flags, |flag| u64::from(flag & 1))
    }

    /// As [`Self::mask64`], for flags that are 0 or 1.
    #[inline(always)]
    fn mask8(flags: &[u8; BLOCK]) -> u64 {
        mask(flags, u64::from)
    }

    /// Copies the numbers whose bit in `mask` is set to `to`, in order.
    ///
    /// # Safety
    ///
    /// `to` has room for `ROOM` numbers; what lies behind those that are kept is overwritten.
    #[inline(always)]
    unsafe fn pack64(from: &[u64; BLOCK], mask: u64, to: *mut u64) {
        // SAFETY: the caller's, and a reference can be read.
        unsafe { pick(from.as_ptr(), mask, to) }
    }

    /// As [`Self::pack64`].
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    unsafe fn pack32(from: &[u32; BLOCK], mask: u64, to: *mut u32) {
        // SAFETY: as above.
        unsafe { pick(from.as_ptr(), mask, to) }
    }
}

#[inline(always)]
fn mask<T: Copy>(flags: &[T; BLOCK], bit: impl Fn(T) -> u64) -> u64 {
    let mut mask = 0;
    for (at, flag) in flags.iter().enumerate() {
        mask |= bit(*flag) << at;
    }
    mask
}

/// Moves the items whose bit in `mask` is set to `to`, in order.
///
/// # Safety
///
/// Of the [`BLOCK`] places at `from`, those whose bits are set hold items, which are moved out; `to` has room for them.
#[inline(always)]
pub(super) unsafe fn pick<T>(from: *const T, mut mask: u64, mut to: *mut T) {
    while mask != 0 {
        let at = mask.trailing_zeros() as usize;
        // SAFETY: `mask` has 64 bits, and a block has 64 places.
        let place = unsafe { from.add(at) };
        // SAFETY: as the caller says, and each bit is looked at once.
        unsafe { place.copy_to_nonoverlapping(to, 1) };
        // SAFETY: at most one place behind the room.
        to = unsafe { to.add(1) };
        mask &= mask - 1;
    }
}

/// What the whole program is compiled for. Blocks need vector multiplications, comparisons and masks to pay: with SSE2
/// they are slower than single items.
pub(super) struct Baseline;

impl Lanes for Baseline {
    const NAME: &'static str = "baseline";
    const BLOCKS: bool = false;
}

/// SSE4.2. As for the baseline, single items are faster.
#[cfg(target_arch = "x86_64")]
pub(super) struct Sse42;

#[cfg(target_arch = "x86_64")]
impl Lanes for Sse42 {
    const NAME: &'static str = "sse4_2";
    const BLOCKS: bool = false;
}

/// AVX2.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    const NAME: &'static str = "avx2";
    const BLOCKS: bool = true;
    const WIDE: bool = true;

    #[inline(always)]
    fn mask64(flags: &[u64; BLOCK]) -> u64 {
        // SAFETY: `Avx2` is named only by a function with its features, see the top of the file.
        unsafe { avx2::mask64(flags) }
    }

    #[inline(always)]
    fn mask32(flags: &[u32; BLOCK]) -> u64 {
        // SAFETY: as above.
        unsafe { avx2::mask32(flags) }
    }

    #[inline(always)]
    fn mask8(flags: &[u8; BLOCK]) -> u64 {
        // SAFETY: as above.
        unsafe { avx2::mask8(flags) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! Masks from the signs of vectors, which LLVM makes of a loop of shifts only by luck.

    use std::arch::x86_64::{
        __m256i, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_loadu_si256,
        _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_movemask_ps, _mm256_slli_epi64,
    };

    use super::BLOCK;

    macro_rules! mask {
        ($name:ident $int:ty, $lanes:literal, $signs:ident) => {
            #[inline]
            #[target_feature(enable = "avx2")]
            pub(super) fn $name(flags: &[$int; BLOCK]) -> u64 {
                let mut mask = 0;
                for (at, flags) in flags.as_chunks::<$lanes>().0.iter().enumerate() {
                    // SAFETY: the chunk is 32 bytes long.
                    let flags = unsafe { _mm256_loadu_si256(flags.as_ptr().cast()) };
                    mask |= u64::from($signs(flags) as u32) << (at * $lanes);
                }
                mask
            }
        };
    }

    mask!(mask64 u64, 4, signs64);
    mask!(mask32 u32, 8, signs32);
    mask!(mask8 u8, 32, signs8);

    #[inline]
    #[target_feature(enable = "avx2")]
    fn signs64(flags: __m256i) -> i32 {
        _mm256_movemask_pd(_mm256_castsi256_pd(flags))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn signs32(flags: __m256i) -> i32 {
        _mm256_movemask_ps(_mm256_castsi256_ps(flags))
    }

    /// These flags are 0 or 1: the lowest bit of each byte goes to its highest.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn signs8(flags: __m256i) -> i32 {
        _mm256_movemask_epi8(_mm256_slli_epi64::<7>(flags))
    }
}

/// Advanced SIMD.
#[cfg(target_arch = "aarch64")]
pub(super) struct Neon;

#[cfg(target_arch = "aarch64")]
impl Lanes for Neon {
    const NAME: &'static str = "neon";
    const BLOCKS: bool = true;
}

/// AVX-512, with its compressing stores.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    const NAME: &'static str = "avx512";
    const BLOCKS: bool = true;
    const WIDE: bool = true;
    const PACKS: bool = true;

    #[inline(always)]
    fn mask64(flags: &[u64; BLOCK]) -> u64 {
        // SAFETY: `Avx512` is named only by a function with its features, see the top of the file.
        unsafe { avx512::mask64(flags) }
    }

    #[inline(always)]
    fn mask32(flags: &[u32; BLOCK]) -> u64 {
        // SAFETY: as above.
        unsafe { avx512::mask32(flags) }
    }

    #[inline(always)]
    fn mask8(flags: &[u8; BLOCK]) -> u64 {
        // SAFETY: as above; the level has AVX2 as well.
        unsafe { avx2::mask8(flags) }
    }

    #[inline(always)]
    unsafe fn pack64(from: &[u64; BLOCK], mask: u64, to: *mut u64) {
        // SAFETY: as above, and as the caller says.
        unsafe { avx512::pack64(from, mask, to) }
    }

    #[inline(always)]
    unsafe fn pack32(from: &[u32; BLOCK], mask: u64, to: *mut u32) {
        // SAFETY: as above, and as the caller says.
        unsafe { avx512::pack32(from, mask, to) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! The instructions: a mask from the signs of a vector, and `vpcompress` into a register that is stored whole, because
    //! storing by mask is slow on some processors (Fog, instruction tables, Zen 4: `vpcompressq m512{k}, zmm`).

    use std::arch::x86_64::{
        _mm512_loadu_si512, _mm512_maskz_compress_epi32, _mm512_maskz_compress_epi64,
        _mm512_movepi32_mask, _mm512_movepi64_mask, _mm512_storeu_si512,
    };

    use super::BLOCK;

    macro_rules! instructions {
        ($mask:ident $pack:ident $int:ty, $lanes:literal, $bits:ty, $to_mask:ident, $compress:ident) => {
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,popcnt")]
            pub(super) fn $mask(flags: &[$int; BLOCK]) -> u64 {
                let mut mask = 0;
                for (at, flags) in flags.as_chunks::<$lanes>().0.iter().enumerate() {
                    // SAFETY: the chunk is 64 bytes long.
                    let flags = unsafe { _mm512_loadu_si512(flags.as_ptr().cast()) };
                    mask |= u64::from($to_mask(flags)) << (at * $lanes);
                }
                mask
            }

            /// # Safety
            ///
            /// `to` has room for `ROOM` numbers.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,popcnt")]
            pub(super) unsafe fn $pack(from: &[$int; BLOCK], mask: u64, mut to: *mut $int) {
                for (at, from) in from.as_chunks::<$lanes>().0.iter().enumerate() {
                    let mask = (mask >> (at * $lanes)) as $bits;
                    // SAFETY: the chunk is 64 bytes long.
                    let from = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
                    // SAFETY: at most `at * $lanes` numbers were packed before, so the vector ends inside of the room.
                    unsafe { _mm512_storeu_si512(to.cast(), $compress(mask, from)) };
                    // SAFETY: as above.
                    to = unsafe { to.add(mask.count_ones() as usize) };
                }
            }
        };
    }

    instructions!(mask64 pack64 u64, 8, u8, _mm512_movepi64_mask, _mm512_maskz_compress_epi64);
    instructions!(mask32 pack32 u32, 16, u16, _mm512_movepi32_mask, _mm512_maskz_compress_epi32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs by every bit pattern of a few, and compares with a filter.
    fn check<L: Lanes>() {
        let mut seed = 7u64;
        for round in 0..200u32 {
            seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let mask = match round {
                0 => 0,
                1 => u64::MAX,
                2..66 => 1 << (round - 2),
                66..130 => u64::MAX << (round - 66),
                _ => seed,
            };
            let kept = |at: &u64| mask >> at & 1 == 1;
            let flags: [u64; BLOCK] =
                std::array::from_fn(|at| if kept(&(at as u64)) { u64::MAX } else { 0 });
            assert_eq!(L::mask64(&flags), mask, "{}", L::NAME);
            assert_eq!(
                L::mask32(&flags.map(|flag| flag as u32)),
                mask,
                "{}",
                L::NAME
            );
            assert_eq!(
                L::mask8(&flags.map(|flag| (flag & 1) as u8)),
                mask,
                "{}",
                L::NAME
            );
            let expect: Vec<u64> = (0..BLOCK as u64).filter(kept).collect();
            let numbers: [u64; BLOCK] = std::array::from_fn(|at| at as u64);
            let mut to = [99u64; ROOM];
            // SAFETY: there is room.
            unsafe { L::pack64(&numbers, mask, to.as_mut_ptr()) };
            assert_eq!(to[..expect.len()], expect, "{}", L::NAME);
            let mut to = [99u32; ROOM];
            // SAFETY: there is room.
            unsafe { L::pack32(&numbers.map(|number| number as u32), mask, to.as_mut_ptr()) };
            assert_eq!(to.map(u64::from)[..expect.len()], expect, "{}", L::NAME);
        }
    }

    #[test]
    fn every_level_makes_the_same_masks_and_packs_the_same_numbers() {
        check::<Baseline>();
        #[cfg(target_arch = "x86_64")]
        {
            use crate::simd::{Available, Level};
            check::<Sse42>();
            if Level::Avx2.is_available() {
                check::<Avx2>();
            }
            if Level::Avx512.is_available() {
                check::<Avx512>();
            }
            assert_eq!(Available::detected(), Available::detected());
        }
        #[cfg(target_arch = "aarch64")]
        check::<Neon>();
    }
}
