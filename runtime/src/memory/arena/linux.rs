//! Arenas by `mmap`.
//!
//! Pages that an administrator has set aside (hugetlb) are reserved by the mapping itself. Transparent huge pages are asked
//! for and may be refused, so what was got is read back from the kernel. Pages are populated by a call and not by writing,
//! which makes a shortage an error and not a signal.
//!
//! A mapping of small pages has pages on either side that cannot be accessed: they catch what runs over the end, and keep
//! the kernel from joining the mapping with a neighbour, whose huge pages would be counted with it.

use std::{
    ffi::c_void,
    fs::File,
    io::{self, BufRead, BufReader},
    ptr::{self, NonNull},
};

use rustix::{
    io::Errno,
    mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap},
};

use super::{HUGE, PAGE, Tier};

/// A range of memory that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Where the part begins that may be used.
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
    pub(super) tier: Tier,
    pub(super) huge_bytes: usize,
    /// What was mapped: more than may be used.
    whole: NonNull<u8>,
    whole_bytes: usize,
}

// SAFETY: a mapping is an address range; those who use the memory agree on who uses which part.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(bytes: usize, access: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | flags;
        // SAFETY: the kernel chooses a free range, so nothing that exists is touched.
        let whole = unsafe { mmap_anonymous(ptr::null_mut(), bytes, access, flags) }?;
        let whole = NonNull::new(whole.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start: whole,
            bytes,
            tier: Tier::Base,
            huge_bytes: 0,
            whole,
            whole_bytes: bytes,
        })
    }

    fn address(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }

    /// Touches every page.
    fn populate(&self) -> io::Result<()> {
        // SAFETY: the range is this mapping's, and populating changes nothing that can be read.
        match unsafe { madvise(self.address(), self.bytes, Advice::LinuxPopulateWrite) } {
            // Before Linux 5.14.
            Err(Errno::INVAL) => self.touch(),
            other => return Ok(other?),
        }
        Ok(())
    }

    fn touch(&self) {
        for at in (0..self.bytes).step_by(PAGE) {
            // SAFETY: within the mapping, by the range.
            let byte = unsafe { self.start.add(at) };
            // SAFETY: the mapping can be written, and nobody else has it yet.
            unsafe { byte.write_volatile(0) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and the users of the memory are gone. It fails for wrong ranges only.
        let _ = unsafe { munmap(self.whole.as_ptr().cast(), self.whole_bytes) };
    }
}

/// Memory on pages that were set aside; an error if there are not enough.
pub(super) fn hugetlb(bytes: usize) -> io::Result<Mapping> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let mut mapping = Mapping::new(bytes, access, MapFlags::HUGETLB | MapFlags::HUGE_2MB)?;
    mapping.populate()?;
    mapping.tier = Tier::Hugetlb;
    mapping.huge_bytes = bytes;
    Ok(mapping)
}

/// Memory on transparent huge pages if they are wanted and there are some, else on small ones.
pub(super) fn pages(bytes: usize, huge: bool) -> io::Result<Mapping> {
    let align = if bytes < HUGE { PAGE } else { HUGE };
    let whole = bytes
        .checked_add(2 * align)
        .ok_or(io::ErrorKind::OutOfMemory)?;
    let mut mapping = Mapping::new(whole, ProtFlags::empty(), MapFlags::empty())?;
    // What lies before the first boundary is a guard, and what remains behind `bytes` is one.
    let guard = align - mapping.start.addr().get() % align;
    // SAFETY: at most `align` bytes into a mapping that is longer by twice that.
    mapping.start = unsafe { mapping.start.add(guard) };
    mapping.bytes = bytes;
    let access = MprotectFlags::READ | MprotectFlags::WRITE;
    // SAFETY: the range is this mapping's, and nobody uses it yet.
    unsafe { mprotect(mapping.address(), bytes, access) }?;
    // SAFETY: as above; the advice changes no contents. A kernel without huge pages refuses it, which is no error.
    let advised =
        huge && unsafe { madvise(mapping.address(), bytes, Advice::LinuxHugepage) }.is_ok();
    mapping.populate()?;
    if advised {
        mapping.huge_bytes = huge_bytes(mapping.start.addr().get()).min(bytes);
    }
    if mapping.huge_bytes == bytes {
        mapping.tier = Tier::Transparent;
    }
    Ok(mapping)
}

/// Bytes on transparent huge pages of the mapping that begins at `start`; 0 if the kernel does not tell.
fn huge_bytes(start: usize) -> usize {
    let Ok(file) = File::open("/proc/self/smaps") else {
        return 0;
    };
    counted(BufReader::new(file), start).unwrap_or(0)
}

/// `AnonHugePages` of the mapping at `start`, in the format of `/proc/PID/smaps`.
fn counted(smaps: impl BufRead, start: usize) -> Option<usize> {
    let head = format!("{start:x}-");
    let line = smaps
        .lines()
        .map_while(Result::ok)
        .skip_while(|line| !line.starts_with(&head))
        .find_map(|line| Some(line.strip_prefix("AnonHugePages:")?.to_owned()))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_read_from_the_right_mapping() {
        let smaps = "7f0000000000-7f0000200000 rw-p 00000000 00:00 0\n\
            Size:               2048 kB\n\
            AnonHugePages:      2048 kB\n\
            7f0000400000-7f0000800000 rw-p 00000000 00:00 0\n\
            AnonHugePages:      4096 kB\n";
        let check = |start, expect| assert_eq!(counted(smaps.as_bytes(), start), expect);
        check(0x7f00_0000_0000, Some(2 << 20));
        check(0x7f00_0040_0000, Some(4 << 20));
        check(0x7f00_0020_0000, None);
        check(0x7f00_0000, None);
    }

    #[test]
    fn an_older_kernel_has_its_pages_touched() {
        let mapping = pages(4 * PAGE, false).unwrap();
        mapping.touch();
        mapping.populate().unwrap();
    }
}
