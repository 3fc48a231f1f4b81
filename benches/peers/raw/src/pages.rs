//! A large table on pages of a chosen size, and prefetches into it.
//!
//! The memory is mapped for the table alone, is as long as its records need, is written before it can be read, and is
//! unmapped when the table is dropped.

use std::{io, ops::Deref, ptr::NonNull, slice};

/// A record of one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Record(pub [u64; 8]);

/// Records on small or on huge pages.
pub struct Table {
    records: NonNull<Record>,
    len: usize,
    mapped: usize,
    memory: *mut libc::c_void,
}

const HUGE: usize = 2 << 20;

impl Table {
    /// Maps a table and fills it; `huge` asks for huge pages, else the table has none.
    ///
    /// # Errors
    ///
    /// If the system does not give the memory, or does not know huge pages.
    pub fn new(len: usize, huge: bool, record: impl Fn(usize) -> Record) -> io::Result<Self> {
        let bytes = (len * size_of::<Record>()).next_multiple_of(HUGE);
        // A huge page's more, so that the table can begin at one.
        let mapped = bytes + HUGE;
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping of no file touches no other memory.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), mapped, access, kind, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = memory.map_addr(|at| at.next_multiple_of(HUGE));
        let records = NonNull::new(start.cast::<Record>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let table = Self {
            records,
            len,
            mapped,
            memory,
        };
        let advice = if huge {
            libc::MADV_HUGEPAGE
        } else {
            libc::MADV_NOHUGEPAGE
        };
        // SAFETY: `start..start + bytes` is inside of the mapping; the advice changes no content.
        if unsafe { libc::madvise(start, bytes, advice) } != 0 {
            return Err(io::Error::last_os_error());
        }
        for at in 0..len {
            // SAFETY: `at < len`, so the record is inside of the mapping.
            let place = unsafe { records.add(at) };
            // SAFETY: the mapping is aligned to a page, and nobody else has a reference into it yet.
            unsafe { place.write(record(at)) };
        }
        Ok(table)
    }
}

impl Deref for Table {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        // SAFETY: all `len` records were written in `new`, and only shared references are given out.
        unsafe { slice::from_raw_parts(self.records.as_ptr(), self.len) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the mapping is this table's, and its references have ended.
        unsafe { libc::munmap(self.memory, self.mapped) };
    }
}

// SAFETY: the table owns its mapping and gives out shared references only.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Asks for a line that will be read soon; does nothing on machines that it does not know.
#[inline(always)]
pub fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch of any address changes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}
