//! The configuration of jemalloc, for binaries that use it.
//!
//! The library does not depend on jemalloc. The macro is here because it needs an `unsafe` attribute, and `unsafe` is for
//! this package: it exports nothing but a constant text, under a name that nobody else uses.

/// Configures jemalloc (`tikv-jemallocator`) in a binary, at link time: once, in its `main.rs`, with
/// [options](https://jemalloc.net/jemalloc.3.html#tuning) as a literal.
///
/// jemalloc reads them before `main` runs, so neither code nor an environment variable set by code can do it. They are found
/// under the name `_rjem_malloc_conf`, which is jemalloc's `malloc_conf` with the prefix of tikv's build; with another name
/// (with the feature `unprefixed_malloc_on_supported_platforms` it is another one) they are silently ignored. So read back what
/// is in effect: `tikv_jemalloc_ctl::opt`. The environment variable `_RJEM_MALLOC_CONF` goes over it.
///
/// ```
/// pipewright::jemalloc_conf!("background_thread:true,narenas:4");
/// # fn main() {}
/// ```
///
/// # Errors
///
/// A second one in the same program does not link.
#[macro_export]
macro_rules! jemalloc_conf {
    ($options:literal) => {
        const _: () = {
            const TEXT: &str = concat!($options, "\0");

            /// A thin pointer to a text that ends with a zero, as jemalloc expects it.
            // SAFETY: jemalloc alone uses this name, for a pointer like this one.
            #[unsafe(export_name = "_rjem_malloc_conf")]
            #[used]
            pub static CONF: &[u8; TEXT.len()] = match TEXT.as_bytes().first_chunk() {
                Some(text) => text,
                None => panic!("a text is as long as it is"),
            };
        };
    };
}
