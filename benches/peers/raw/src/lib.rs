//! What needs `unsafe` in the comparison: limits written by hand, allocators called directly, the C++ peer.
//!
//! Nothing of it is a part of pipewright. Each module says what its `unsafe` relies on.

pub mod blocks;
pub mod heap;
pub mod lanes;
pub mod pages;
pub mod ring;
pub mod system;
pub mod tbb;

/// Does this machine have what the AVX-512 limits need?
#[must_use]
pub fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512dq");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
