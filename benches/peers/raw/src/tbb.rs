//! oneTBB's `parallel_pipeline`, through a small C++ file that is built where the library is installed.
//!
//! The C++ functions take numbers and a buffer, catch their exceptions, and keep nothing after they return.

/// Whether the library was found when this was built.
pub const INSTALLED: bool = cfg!(peers_tbb);

/// What a row says where it was not.
pub const MISSING: &str = "oneTBB is not installed (Debian: `apt-get install g++ libtbb-dev`)";

#[cfg(peers_tbb)]
mod linked {
    unsafe extern "C" {
        pub(super) fn peers_tbb_version() -> i32;
        pub(super) fn peers_tbb_mandelbrot(
            size: u32,
            first: u32,
            second: u32,
            threads: u32,
            tokens: u32,
            picture: *mut u8,
        ) -> bool;
        pub(super) fn peers_tbb_tokens(
            count: u64,
            parallel: bool,
            threads: u32,
            tokens: u32,
            sum: *mut u64,
        ) -> bool;
    }
}

/// The library's version.
#[must_use]
pub fn version() -> Option<String> {
    #[cfg(peers_tbb)]
    {
        // SAFETY: it takes nothing and returns a constant.
        let version = unsafe { linked::peers_tbb_version() };
        Some(format!("interface {version}"))
    }
    #[cfg(not(peers_tbb))]
    None
}

/// The picture of `heavy_pipeline`, row by row, through four filters; `None` without the library.
#[must_use]
pub fn mandelbrot(size: u32, iterations: [u32; 2], threads: u32, tokens: u32) -> Option<Vec<u8>> {
    #[cfg(peers_tbb)]
    {
        let [first, second] = iterations;
        let mut picture = vec![0; size as usize * size as usize];
        // SAFETY: the buffer has room for `size * size` pixels, which is what is written.
        let done = unsafe {
            linked::peers_tbb_mandelbrot(size, first, second, threads, tokens, picture.as_mut_ptr())
        };
        done.then_some(picture)
    }
    #[cfg(not(peers_tbb))]
    {
        let _ = (size, iterations, threads, tokens);
        None
    }
}

/// The sum of `overhead_per_item`: `count` tokens through four filters, the inner two parallel or all of them serial.
#[must_use]
pub fn tokens(count: u64, parallel: bool, threads: u32, tokens: u32) -> Option<u64> {
    #[cfg(peers_tbb)]
    {
        let mut sum = 0;
        // SAFETY: the place for the sum lives through the call.
        let done =
            unsafe { linked::peers_tbb_tokens(count, parallel, threads, tokens, &raw mut sum) };
        done.then_some(sum)
    }
    #[cfg(not(peers_tbb))]
    {
        let _ = (count, parallel, threads, tokens);
        None
    }
}
