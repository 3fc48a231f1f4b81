//! Arenas: memory from the system, on huge pages where there are any, all of it touched before anybody uses it.
//!
//! The tiers are tried from the best to the worst: see [`Tier`].

#[cfg(not(target_os = "linux"))]
#[path = "heap.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;

use std::{io, ptr::NonNull};

use super::Tier;

/// Bytes of a huge page.
pub(super) const HUGE: usize = 2 << 20;

/// Bytes of a small page.
const PAGE: usize = 4 << 10;

/// Memory that is all zero at first and lives until this is dropped.
#[derive(Debug)]
pub(super) struct Arena(system::Mapping);

impl Arena {
    /// At least `bytes` of memory of the best tier that there is, from `best` downwards; aligned to 2 MiB if it is that large,
    /// else to 4 KiB.
    pub(super) fn new(bytes: usize, best: Tier) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        // Less than a huge page is not worth one.
        let best = if bytes < HUGE { Tier::Base } else { best };
        let page = if best == Tier::Base { PAGE } else { HUGE };
        let bytes = bytes.checked_next_multiple_of(page).ok_or_else(too_large)?;
        if best == Tier::Hugetlb
            && let Ok(mapping) = system::hugetlb(bytes)
        {
            return Ok(Self(mapping));
        }
        system::pages(bytes, best != Tier::Base).map(Self)
    }

    /// The first `count` blocks of `size` bytes.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    pub(super) fn blocks(
        &self,
        size: usize,
        count: usize,
    ) -> impl DoubleEndedIterator<Item = NonNull<u8>> + ExactSizeIterator + use<> {
        let needed = size.checked_mul(count);
        assert!(
            needed.is_some_and(|bytes| bytes <= self.0.bytes),
            "{count} blocks of {size} bytes are more than the arena has"
        );
        let start = self.0.start;
        (0..count).map(move |at| {
            // SAFETY: `at * size` is within the mapping, as was just checked.
            unsafe { start.add(at * size) }
        })
    }

    /// What its pages are.
    pub(super) fn tier(&self) -> Tier {
        self.0.tier
    }

    /// Bytes of it on huge pages.
    pub(super) fn huge_bytes(&self) -> usize {
        self.0.huge_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_of_any_tier_is_zeroed_and_can_be_written_to_its_end() {
        for best in [Tier::Base, Tier::Transparent, Tier::Hugetlb] {
            for bytes in [1, PAGE, 3 * PAGE + 1, HUGE, 2 * HUGE + PAGE] {
                let arena = Arena::new(bytes, best).unwrap();
                assert!(arena.tier() <= best, "{best:?} was the best wanted");
                assert!(arena.huge_bytes() <= arena.0.bytes);
                let blocks: Vec<_> = arena.blocks(PAGE, bytes.div_ceil(PAGE)).collect();
                assert_eq!(blocks.len(), bytes.div_ceil(PAGE));
                for block in blocks {
                    // SAFETY: the block lies in the arena, and nobody else uses it.
                    let page = unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), PAGE) };
                    assert!(page.iter().all(|byte| *byte == 0));
                    page.fill(0xAB);
                }
            }
        }
    }

    #[test]
    fn an_arena_that_no_machine_has_is_an_error() {
        for bytes in [usize::MAX, usize::MAX / 2] {
            assert!(Arena::new(bytes, Tier::Transparent).is_err());
        }
    }

    #[test]
    #[should_panic(expected = "more than the arena has")]
    fn blocks_beyond_the_end_are_refused() {
        let arena = Arena::new(PAGE, Tier::Base).unwrap();
        drop(arena.blocks(PAGE, 2));
    }
}
