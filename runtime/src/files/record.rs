//! How records lie in a file.

use crate::dead_letters::frame::{FRONT, front_of, is_whole};

/// No record is longer, in bytes.
pub(super) const MAX: usize = 16 << 20;

/// Lines, or frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Lines,
    Frames,
}

impl Format {
    /// Where the last whole record of a file ends that begins with `bytes`, of which as many as there are were read from its
    /// beginning on.
    pub(super) fn whole(self, bytes: &[u8]) -> usize {
        match self {
            Self::Lines => bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1),
            Self::Frames => {
                let mut end = 0;
                while let Some(len) = frame_at(&bytes[end..]) {
                    end += len;
                }
                end
            }
        }
    }
}

/// The length of the whole frame that `bytes` begins with.
fn frame_at(bytes: &[u8]) -> Option<usize> {
    let (front, rest) = bytes.split_at_checked(FRONT)?;
    let (len, crc) = front_of(front)?;
    let body = rest.get(..len)?;
    is_whole(front, body, crc).then_some(FRONT + len)
}
