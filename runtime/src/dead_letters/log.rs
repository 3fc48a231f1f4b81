//! The segments of a folder, as their one writer sees them.
//!
//! **Committed offset.** `end` is behind the last whole frame. A frame is written at `end`, and `end` moves when all of it is
//! written; if that fails in the middle, the next attempt begins at `end` again and writes over what is there. So a partial
//! frame is never followed by another one.
//!
//! **fsync.** When it fails nobody knows which pages are lost, and a later success says nothing about them. So the segment is
//! left alone from then on, and its letters that were not durable yet go into a new one; a reader that finds a number twice
//! takes it once.
//!
//! **Space.** A segment's whole space is reserved when it is made, so that a full disk does not keep letters from being
//! written until the segment is full as well.

use std::io::{self, ErrorKind};

use super::{
    frame::{HEAD, Piece, Pieces},
    reader::{Head, head_of},
    record::Record,
    storage::{Segment, Storage},
};

/// The sizes of a log, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Of a segment.
    pub(super) segment: u64,
    /// Of all segments together.
    pub(super) total: u64,
}

/// The writer's side of a folder of segments.
pub(super) struct Log<S: Storage> {
    storage: S,
    sizes: Sizes,
    active: Option<Active<S::Segment>>,
    /// The number of the next segment.
    next: u64,
    /// Could space be reserved, as far as it was tried?
    pub(super) is_reserved: bool,
    /// Segments that were left because they could not be made durable.
    pub(super) abandoned: u64,
}

struct Active<F> {
    file: F,
    number: u64,
    /// Behind the last whole frame.
    end: u64,
    /// Up to here it is durable.
    durable: u64,
}

impl<S: Storage> Log<S> {
    /// Opens what is there: cuts off a torn tail, and reserves space. Also returns the number of the last letter.
    pub(super) fn open(mut storage: S, sizes: Sizes) -> io::Result<(Self, u64)> {
        let segments = storage.list()?;
        let mut log = Self {
            storage,
            sizes,
            active: None,
            next: segments.last().map_or(1, |(number, _)| number + 1),
            is_reserved: true,
            abandoned: 0,
        };
        let mut last = 0;
        for (at, &(number, len)) in segments.iter().enumerate().rev() {
            let found = log.recover(number, len, at + 1 == segments.len())?;
            last = last.max(found);
            if found > 0 {
                break;
            }
        }
        if log.active.is_none() {
            log.rotate()?;
        }
        Ok((log, last))
    }

    /// Mends a segment's end, and returns the number of its last letter. If it is the last segment and has room, it is used on.
    fn recover(&mut self, number: u64, len: u64, is_last: bool) -> io::Result<u64> {
        let mut file = self.storage.open(number)?;
        let bytes = read(&mut file, len)?;
        let head = head_of(&bytes);
        let (mut end, mut last) = (HEAD.len() as u64, 0);
        for (range, piece) in Pieces::new(&bytes) {
            match piece {
                Piece::Body(body) => last = last.max(Record::number_of(body).unwrap_or(0)),
                Piece::Damaged => {}
                Piece::Torn => continue,
            }
            end = range.end as u64;
        }
        if matches!(head, Head::Version(_)) || (head == Head::Other && last == 0) {
            let why = format!("segment {number} does not hold dead letters of this version");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        if end < len {
            file.truncate(end)?;
            file.sync()?;
        }
        // Another segment costs nothing but its reservation; less than half of one is not worth going on with.
        if is_last && end < self.sizes.segment / 2 && head != Head::Other {
            if head == Head::Torn {
                write(&mut file, HEAD, 0)?;
            }
            self.is_reserved &= file.reserve(self.sizes.segment)?;
            file.sync()?;
            self.active = Some(Active {
                file,
                number,
                end,
                durable: end,
            });
        }
        Ok(last)
    }

    /// Writes a frame behind the others. It is not durable before [`Self::sync`].
    pub(super) fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        if !self.has_room(frame.len() as u64) {
            self.rotate()?;
        }
        let Some(active) = &mut self.active else {
            return Err(ErrorKind::NotFound.into());
        };
        write(&mut active.file, frame, active.end)?;
        active.end += frame.len() as u64;
        Ok(())
    }

    fn has_room(&self, bytes: u64) -> bool {
        let first = HEAD.len() as u64;
        self.active
            .as_ref()
            .is_some_and(|active| active.end == first || active.end + bytes <= self.sizes.segment)
    }

    /// Must a frame of this length wait until the ones before it are durable, because it goes into another segment?
    pub(super) fn turns(&self, bytes: u64) -> bool {
        self.active.is_some() && !self.has_room(bytes)
    }

    /// Makes durable what was put. If it fails, whatever was put since the last success has to be put again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if active.durable == active.end {
            return Ok(());
        }
        match retried(|| active.file.sync()) {
            Ok(()) => {
                active.durable = active.end;
                Ok(())
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Leaves the segment alone; takes it away if nothing in it is durable.
    fn abandon(&mut self) {
        let Some(left) = self.active.take() else {
            return;
        };
        self.abandoned += 1;
        if left.durable <= HEAD.len() as u64 {
            // If it stays, its letters are found twice, and taken once.
            let _ = self.storage.remove(left.number);
        }
    }

    /// Begins another segment; what was put before is durable.
    fn rotate(&mut self) -> io::Result<()> {
        let used: u64 = self.storage.list()?.iter().map(|(_, len)| len).sum();
        if used + self.sizes.segment > self.sizes.total {
            let why = format!(
                "the dead letters take {used} bytes of {}; move segments away or raise `max_bytes`",
                self.sizes.total
            );
            return Err(io::Error::new(ErrorKind::StorageFull, why));
        }
        let number = self.next;
        let mut file = self.storage.create(number)?;
        // A number is used once, whatever comes of it.
        self.next += 1;
        match self.begin(&mut file) {
            Ok(is_reserved) => self.is_reserved &= is_reserved,
            Err(error) => {
                drop(file);
                let _ = self.storage.remove(number);
                return Err(error);
            }
        }
        let end = HEAD.len() as u64;
        self.active = Some(Active {
            file,
            number,
            end,
            durable: end,
        });
        Ok(())
    }

    fn begin(&mut self, file: &mut S::Segment) -> io::Result<bool> {
        let is_reserved = file.reserve(self.sizes.segment)?;
        write(file, HEAD, 0)?;
        retried(|| file.sync())?;
        retried(|| self.storage.sync())?;
        Ok(is_reserved)
    }
}

/// Reads a whole segment.
fn read(file: &mut impl Segment, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
    bytes
        .try_reserve_exact(len)
        .map_err(|_| ErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    let mut at = 0;
    while at < len {
        match retried(|| file.read_at(&mut bytes[at..], at as u64))? {
            0 => break,
            some => at += some,
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}

/// Writes all of `bytes` at `at`.
pub(crate) fn write(
    file: &mut (impl Segment + ?Sized),
    mut bytes: &[u8],
    mut at: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match retried(|| file.write_at(bytes, at))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            some => {
                bytes = bytes.get(some..).unwrap_or_default();
                at += some as u64;
            }
        }
    }
    Ok(())
}

/// Does it again while it is interrupted.
pub(crate) fn retried<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
