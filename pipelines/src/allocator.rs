//! What the program allocates with, read back from the allocator itself.
//!
//! The configuration in `main.rs` is found by jemalloc under a name that the linker knows and nobody checks; only what is read
//! back here is known to be in effect.

use serde_json::{Value, json};

/// Name, options in effect, and memory in use: `{"name": "jemalloc", ..}`, or `{"name": "system"}` where the program's
/// allocator is not jemalloc.
#[cfg(feature = "jemalloc")]
pub fn to_json() -> Value {
    match is_jemalloc().then(jemalloc::to_json) {
        Some(Ok(object)) => object,
        Some(Err(error)) => json!({ "name": "jemalloc", "error": error.to_string() }),
        None => system(),
    }
}

/// Name of the allocator: `{"name": "system"}`, because the feature `jemalloc` is off.
#[cfg(not(feature = "jemalloc"))]
pub fn to_json() -> Value {
    system()
}

fn system() -> Value {
    json!({ "name": "system" })
}

/// Does jemalloc count what this thread allocates? It may be in the program without being its allocator.
#[cfg(feature = "jemalloc")]
fn is_jemalloc() -> bool {
    let Ok(allocated) = tikv_jemalloc_ctl::thread::allocatedp::read() else {
        return false;
    };
    let before = allocated.get();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 10)));
    allocated.get() > before
}

#[cfg(feature = "jemalloc")]
mod jemalloc {
    use serde_json::{Value, json};
    use tikv_jemalloc_ctl::{Access, AsName, Result, epoch, opt, stats, version};

    /// The texts of jemalloc keep the zero that they end with.
    fn text(text: &str) -> &str {
        text.trim_end_matches('\0')
    }

    pub(super) fn to_json() -> Result<Value> {
        let dirty: isize = b"opt.dirty_decay_ms\0".name().read()?;
        let muzzy: isize = b"opt.muzzy_decay_ms\0".name().read()?;
        let metadata: &str = b"opt.metadata_thp\0".name().read()?;
        // The statistics are those of the last epoch.
        epoch::advance()?;
        Ok(json!({
            "name": "jemalloc",
            "version": text(version::read()?),
            "options": {
                "background_thread": opt::background_thread::read()?,
                "dirty_decay_ms": dirty,
                "metadata_thp": text(metadata),
                "muzzy_decay_ms": muzzy,
                "narenas": opt::narenas::read()?,
            },
            "allocated_bytes": stats::allocated::read()?,
            "resident_bytes": stats::resident::read()?,
        }))
    }
}
