//! Arenas from the allocator, for systems whose pages this crate does not know.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    io,
    ptr::NonNull,
};

use super::{HUGE, Tier};

/// Memory from the allocator.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
    pub(super) tier: Tier,
    pub(super) huge_bytes: usize,
}

// SAFETY: a mapping is an address range; those who use the memory agree on who uses which part.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// There are none here.
pub(super) fn hugetlb(_: usize) -> io::Result<Mapping> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `bytes` of memory, zeroed by hand so that it is there when it is used.
pub(super) fn pages(bytes: usize, _: bool) -> io::Result<Mapping> {
    let layout = layout(bytes).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: the size is not zero: it was rounded up to a page.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
    for at in (0..bytes).step_by(super::PAGE) {
        // SAFETY: within the memory, by the range.
        let byte = unsafe { start.add(at) };
        // SAFETY: nobody else has the memory yet.
        unsafe { byte.write_volatile(0) };
    }
    Ok(Mapping {
        start,
        bytes,
        tier: Tier::Base,
        huge_bytes: 0,
    })
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, HUGE).ok()
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(layout) = layout(self.bytes) {
            // SAFETY: allocated with this layout, and the users of the memory are gone.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}
