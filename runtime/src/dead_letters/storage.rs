//! Where segments lie: a folder of files, behind traits small enough that tests can make each operation fail.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FallocateFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

/// A place for numbered segments.
pub trait Storage: Send + 'static {
    /// A segment.
    type Segment: Segment;

    /// The segments that are there, with their lengths in bytes, by number.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn list(&mut self) -> io::Result<Vec<(u64, u64)>>;

    /// Makes an empty segment.
    ///
    /// # Errors
    ///
    /// If it is there, or cannot be made.
    fn create(&mut self, number: u64) -> io::Result<Self::Segment>;

    /// Opens a segment to read and to write.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    fn open(&mut self, number: u64) -> io::Result<Self::Segment>;

    /// Takes a segment away.
    ///
    /// # Errors
    ///
    /// If it cannot be.
    fn remove(&mut self, number: u64) -> io::Result<()>;

    /// Makes durable which segments there are.
    ///
    /// # Errors
    ///
    /// If that fails.
    fn sync(&mut self) -> io::Result<()>;
}

/// One segment: a file, as far as dead letters need it.
pub trait Segment: Send + 'static {
    /// Reads up to `into.len()` bytes from `offset` on; 0 at the end.
    ///
    /// # Errors
    ///
    /// As `pread` does.
    fn read_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset`; how many.
    ///
    /// # Errors
    ///
    /// As `pwrite` does.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reserves space for so many bytes in all, without changing the length; false where the file system cannot.
    ///
    /// # Errors
    ///
    /// If there is not so much.
    fn reserve(&mut self, bytes: u64) -> io::Result<bool>;

    /// Cuts it off.
    ///
    /// # Errors
    ///
    /// As `ftruncate` does.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes durable what was written.
    ///
    /// # Errors
    ///
    /// As `fdatasync` does. What was written since the last success may be lost then, also if a later call succeeds.
    fn sync(&mut self) -> io::Result<()>;
}

/// The ending of a segment's file name.
const ENDING: &[u8] = b".letters";

/// A folder on a disk, which one process at a time writes to. Folder and files are readable by their owner only, and no
/// symbolic link is followed.
pub struct Folder(OwnedFd);

impl Folder {
    /// Makes the folder if it is missing, and takes it for this process.
    ///
    /// # Errors
    ///
    /// If it cannot be made or opened, or another process has it ([`io::ErrorKind::WouldBlock`]).
    pub fn open(path: &Path) -> io::Result<Self> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self(fd))
    }

    fn file(&self, number: u64, more: OFlags) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = rustix::fs::openat(&self.0, file_name(number), flags, mode)?;
        Ok(File::from(fd))
    }
}

/// The name of a segment's file.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:010}.letters")
}

/// The number of the segment in a file of this name.
pub(super) fn number_of(name: &OsStr) -> Option<u64> {
    let digits = name.as_bytes().strip_suffix(ENDING)?;
    if digits.len() < 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Storage for Folder {
    type Segment = File;

    fn list(&mut self) -> io::Result<Vec<(u64, u64)>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(number) = number_of(OsStr::from_bytes(name.to_bytes())) {
                match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => found.push((number, u64::try_from(stat.st_size).unwrap_or(0))),
                    // Somebody has just moved it away.
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn create(&mut self, number: u64) -> io::Result<File> {
        self.file(number, OFlags::CREATE | OFlags::EXCL)
    }

    fn open(&mut self, number: u64) -> io::Result<File> {
        self.file(number, OFlags::empty())
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        rustix::fs::unlinkat(&self.0, file_name(number), AtFlags::empty())?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        rustix::fs::fsync(&self.0)?;
        Ok(())
    }
}

impl Segment for File {
    fn read_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&*self, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A process that was forked meanwhile has the folder open until it runs another program; closing it here would
        // leave it locked for so long. If it fails, that is what happens.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folder").finish_non_exhaustive()
    }
}
