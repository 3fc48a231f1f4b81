//! Blocks that one thread takes and gives back.

use super::{LIVE, Way, sum};

/// Takes and gives back so many blocks, [`LIVE`] at a time.
///
/// # Panics
///
/// If a mark is lost.
pub fn same_thread<W: Way>(way: &W, blocks: u64) {
    let mut live = Vec::with_capacity(LIVE);
    let mut total = 0;
    for round in 0..blocks / LIVE as u64 {
        let first = round * LIVE as u64;
        live.extend((first..first + LIVE as u64).map(|mark| way.take(mark)));
        for block in live.drain(..) {
            total += way.give(block);
        }
    }
    assert_eq!(total, sum(blocks / LIVE as u64 * LIVE as u64));
}
