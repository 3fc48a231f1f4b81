//! Rows of the Mandelbrot picture with AVX-512 by hand: 32 pixels in flight, in four registers of 8.
//!
//! The `unsafe` here is the call of a function with target features, which [`row`] makes only after it has looked for them,
//! and stores in arrays of the registers' size.

/// Counts the iterations of the pixels of a row: up to `first`, and for those that have not escaped up to `second` more.
///
/// A pixel's point is `(left + step * column, y)`. `false` on a machine without AVX-512, or if the row is not a multiple of
/// 32 pixels wide; then nothing was done.
#[must_use]
pub fn row(left: f64, step: f64, y: f64, first: u32, second: u32, counts: &mut [u32]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if crate::has_avx512() && counts.len().is_multiple_of(x86::PIXELS) {
        for (group, counts) in counts.chunks_exact_mut(x86::PIXELS).enumerate() {
            let at = group * x86::PIXELS;
            // SAFETY: the machine has the features that the function is compiled for.
            unsafe { x86::group(left, step, at, y, [first, second], counts) };
        }
        return true;
    }
    let _ = (left, step, y, first, second, counts);
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    const LANES: usize = 8;
    const REGISTERS: usize = 4;
    pub(super) const PIXELS: usize = LANES * REGISTERS;

    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn group(
        left: f64,
        step: f64,
        at: usize,
        y: f64,
        limits: [u32; 2],
        counts: &mut [u32],
    ) {
        let column = |register: usize| {
            let lane: [f64; LANES] =
                std::array::from_fn(|lane| left + step * (at + register * LANES + lane) as f64);
            let [a, b, c, d, e, f, g, h] = lane;
            _mm512_set_pd(h, g, f, e, d, c, b, a)
        };
        let cr: [__m512d; REGISTERS] = std::array::from_fn(column);
        let ci = _mm512_set1_pd(y);
        let mut points = (cr, [ci; REGISTERS]);
        let mut total = [_mm512_setzero_si512(); REGISTERS];
        let mut alive: [__mmask8; REGISTERS] = [0xFF; REGISTERS];
        for limit in limits {
            iterate(cr, ci, limit, &mut points, &mut alive, &mut total);
        }
        for (counts, total) in counts.chunks_exact_mut(LANES).zip(total) {
            let mut wide = [0i64; LANES];
            // SAFETY: the array has room for a register.
            unsafe { _mm512_storeu_si512(wide.as_mut_ptr().cast(), total) };
            counts
                .iter_mut()
                .zip(wide)
                .for_each(|(count, wide)| *count = wide as u32);
        }
    }

    /// Up to `limit` iterations of those that are alive. No fused multiply-add: the picture is the scalar one to the bit.
    #[target_feature(enable = "avx512f,avx512dq")]
    #[inline]
    fn iterate(
        cr: [__m512d; REGISTERS],
        ci: __m512d,
        limit: u32,
        points: &mut ([__m512d; REGISTERS], [__m512d; REGISTERS]),
        alive: &mut [__mmask8; REGISTERS],
        total: &mut [__m512i; REGISTERS],
    ) {
        let four = _mm512_set1_pd(4.0);
        let one = _mm512_set1_epi64(1);
        let (mut a, mut b) = *points;
        for _ in 0..limit {
            for r in 0..REGISTERS {
                let (a2, b2) = (_mm512_mul_pd(a[r], a[r]), _mm512_mul_pd(b[r], b[r]));
                let size = _mm512_add_pd(a2, b2);
                alive[r] = _mm512_mask_cmp_pd_mask::<_CMP_LE_OQ>(alive[r], size, four);
                total[r] = _mm512_mask_add_epi64(total[r], alive[r], total[r], one);
                let ab = _mm512_mul_pd(a[r], b[r]);
                b[r] = _mm512_add_pd(_mm512_add_pd(ab, ab), ci);
                a[r] = _mm512_add_pd(_mm512_sub_pd(a2, b2), cr[r]);
            }
            if alive.iter().all(|alive| *alive == 0) {
                break;
            }
        }
        *points = (a, b);
    }
}
