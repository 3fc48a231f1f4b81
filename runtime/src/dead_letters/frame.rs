//! How a segment is written: a head of eight bytes, then frames.
//!
//! A frame is `marker | length | crc | body`: four bytes each, little-endian, and as many bytes of body as the length says. The
//! checksum is CRC-32C over length and body. The marker is what a reader looks for behind a damaged frame. Where no frame is
//! whole up to the end of a segment, the rest is its torn tail.
//!
//! Nothing here believes a byte that was read: lengths are bounded before they are used, and whoever looks for markers in a
//! hostile file hashes at most [`EFFORT`] times the file.

use std::ops::Range;

/// What a segment begins with; the last byte is the version of the format.
pub(super) const HEAD: &[u8; 8] = b"PWDEADL1";

const MARKER: [u8; 4] = [0xD1, 0xEA, 0xD1, 0x37];

/// Bytes of a frame in front of its body.
pub(crate) const FRONT: usize = 12;

/// No body is longer. A length beyond it is damage.
pub(super) const MAX_BODY: usize = 17 << 20;

/// How many times the bytes of a file are hashed at most while whole frames are looked for.
const EFFORT: u64 = 4;

/// Puts `body` into a frame.
///
/// # Panics
///
/// If the body is longer than [`MAX_BODY`], which whoever makes bodies keeps.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    assert!(
        body.len() <= MAX_BODY,
        "the body of a dead letter is bounded"
    );
    let length = (body.len() as u32).to_le_bytes();
    let crc = checksum(length, body).to_le_bytes();
    let mut frame = Vec::with_capacity(FRONT + body.len());
    for part in [&MARKER[..], &length, &crc, body] {
        frame.extend_from_slice(part);
    }
    frame
}

/// What the front of a frame says: the length of the body, and the checksum. `None` if it is none.
pub(crate) fn front_of(front: &[u8]) -> Option<(usize, u32)> {
    let (marker, rest) = front.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, []) = rest.split_first_chunk::<4>()? else {
        return None;
    };
    let len = u32::from_le_bytes(*length) as usize;
    (*marker == MARKER && len <= MAX_BODY).then(|| (len, u32::from_le_bytes(*crc)))
}

/// Are a frame's front and body as they were written?
pub(crate) fn is_whole(front: &[u8], body: &[u8], crc: u32) -> bool {
    let length = front.get(4..8).and_then(|length| length.try_into().ok());
    length.is_some_and(|length| checksum(length, body) == crc)
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), body)
}

/// What lies between two places of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A whole frame.
    Body(&'a [u8]),
    /// Bytes that are no frame, with whole ones behind them.
    Damaged,
    /// Bytes that are no frame, and none behind them.
    Torn,
}

/// The pieces of a segment, behind its head.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes that may still be hashed in vain.
    effort: u64,
}

impl<'a> Pieces<'a> {
    /// Those of `bytes`, which include the head.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: HEAD.len().min(bytes.len()),
            effort: EFFORT * bytes.len() as u64,
        }
    }

    /// The body of the frame at `at`, if it is whole.
    fn body_at(&mut self, at: usize) -> Option<&'a [u8]> {
        let front = self.bytes.get(at..at.checked_add(FRONT)?)?;
        let (len, crc) = front_of(front)?;
        let from = at + FRONT;
        let body = self.bytes.get(from..from.checked_add(len)?)?;
        let whole = is_whole(front, body, crc);
        if !whole {
            self.effort = self.effort.saturating_sub(len as u64 + 1);
        }
        whole.then_some(body)
    }

    /// The next place behind `at` at which a whole frame begins.
    fn next_whole(&mut self, at: usize) -> Option<usize> {
        let mut from = at + 1;
        while self.effort > 0 {
            let rest = self.bytes.get(from..)?;
            let marker = rest.windows(MARKER.len()).position(|four| four == MARKER)?;
            from += marker;
            if self.body_at(from).is_some() {
                return Some(from);
            }
            from += 1;
        }
        None
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (Range<usize>, Piece<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        if at >= self.bytes.len() {
            return None;
        }
        if let Some(body) = self.body_at(at) {
            self.at = at + FRONT + body.len();
            return Some((at..self.at, Piece::Body(body)));
        }
        let (to, piece) = match self.next_whole(at) {
            Some(to) => (to, Piece::Damaged),
            None => (self.bytes.len(), Piece::Torn),
        };
        self.at = to;
        Some((at..to, piece))
    }
}
