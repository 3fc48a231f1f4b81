//! Blocks with their owner's mark, for tests of pools.

use std::thread;

use pipewright::memory::{Block, Class, Pool};

/// All blocks that this thread can have.
pub fn all(pool: &Pool, class: Class) -> Vec<Block> {
    std::iter::from_fn(|| pool.take(class).ok()).collect()
}

/// The owner's mark: in the first bytes and in the last.
pub fn stamp(block: &mut [u8], mark: u64) {
    let len = block.len();
    block[..8].copy_from_slice(&mark.to_le_bytes());
    block[len - 8..].copy_from_slice(&mark.to_le_bytes());
}

/// Panics if another owner wrote to the block.
pub fn assert_stamped(block: &[u8], mark: u64) {
    let read = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    assert_eq!(read(&block[..8]), mark, "another owner wrote to the block");
    assert_eq!(read(&block[block.len() - 8..]), mark);
}

/// Panics if a block of the class is in use, or the counts contradict each other.
pub fn assert_all_back(pool: &Pool, class: Class) {
    let stats = *pool.stats().class(class).expect("the pool has the class");
    assert_eq!(stats.in_use, 0, "{stats:?}");
    assert!(stats.cached <= stats.capacity, "{stats:?}");
    assert!(stats.magazine_hits <= stats.taken, "{stats:?}");
}

/// Runs `work` on a thread of its own, and waits until that has given its magazines back.
///
/// # Panics
///
/// If `work` does.
pub fn on_a_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // Joined by hand: the end of a scope does not wait for what a thread does after its function.
    thread::scope(|scope| scope.spawn(work).join().expect("the thread panicked"))
}
