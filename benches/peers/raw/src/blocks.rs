//! `linear_pipeline` in blocks of 512 with AVX-512 by hand: 8 items at a time, compress as the filter, a record in one
//! register.
//!
//! The `unsafe` here is the call of a function with target features, which [`fold`] makes only after it has looked for
//! them, and loads and stores in a buffer that has room for a whole block and a register more.

use std::ops::Range;

/// What the fold of the records of a range is; `None` on a machine without AVX-512.
#[must_use]
pub fn fold(range: Range<u64>) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    if crate::has_avx512() {
        // SAFETY: the machine has the features that the function is compiled for.
        return Some(unsafe { x86::fold(range) });
    }
    let _ = range;
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, ops::Range};

    /// Items of a block.
    const BLOCK: usize = 512;
    /// Items of a register.
    const LANES: usize = 8;

    /// Whole blocks, then what is left of the range, masked.
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    pub(super) fn fold(range: Range<u64>) -> u64 {
        let mut kept = [0; BLOCK + LANES];
        let mut sums = _mm512_setzero_si512();
        let mut at = range.start;
        while at < range.end {
            let items = (range.end - at).min(BLOCK as u64);
            let count = mix_and_keep(at, items, &mut kept);
            sums = fold_records(&kept[..count], sums);
            at += items;
        }
        _mm512_reduce_add_epi64(sums).cast_unsigned()
    }

    /// Mixes `items` numbers from `start` and leaves those that the filter keeps in `kept`.
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    #[inline]
    fn mix_and_keep(start: u64, items: u64, kept: &mut [u64; BLOCK + LANES]) -> usize {
        let step = _mm512_set1_epi64(LANES as i64);
        let mut numbers = _mm512_add_epi64(
            _mm512_set1_epi64(start.cast_signed()),
            _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
        );
        let mut count = 0;
        let whole = items as usize / LANES;
        for _ in 0..whole {
            count += keep(numbers, 0xFF, &mut kept[count..]);
            numbers = _mm512_add_epi64(numbers, step);
        }
        let rest = items as usize % LANES;
        count + keep(numbers, (1 << rest) - 1, &mut kept[count..])
    }

    /// Mixes the numbers of a register, and leaves those of `there` that the filter keeps at the start of `place`.
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    #[inline]
    fn keep(numbers: __m512i, there: __mmask8, place: &mut [u64]) -> usize {
        let factor = _mm512_set1_epi64(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
        let y = _mm512_mullo_epi64(numbers, factor);
        let y = _mm512_xor_si512(y, _mm512_srli_epi64::<29>(y));
        let keep = _mm512_mask_testn_epi64_mask(there, y, _mm512_set1_epi64(7));
        let place = place[..LANES].as_mut_ptr();
        // SAFETY: `place` is the start of `LANES` numbers, as the slice above has checked.
        unsafe { _mm512_storeu_si512(place.cast(), _mm512_maskz_compress_epi64(keep, y)) };
        keep.count_ones() as usize
    }

    /// Makes a record of each number and adds it to the sums, a word of the record to a lane.
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    #[inline]
    fn fold_records(kept: &[u64], mut sums: __m512i) -> __m512i {
        let turns = _mm512_set_epi64(56, 48, 40, 32, 24, 16, 8, 0);
        let words = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
        let weights = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
        for y in kept {
            let record = _mm512_rolv_epi64(_mm512_set1_epi64(y.cast_signed()), turns);
            let record = _mm512_xor_si512(record, words);
            sums = _mm512_add_epi64(sums, _mm512_mullo_epi64(record, weights));
        }
        sums
    }
}
