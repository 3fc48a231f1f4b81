//! The bytes of bodies that a server holds: so many at a time, whoever sends them.
//!
//! They count as they come and not when they are announced, so that a client that announces much and sends nothing takes nothing from
//! others. Nobody waits for room: bodies that have come in part could wait for each other.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The room for all bodies.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

/// What a body takes of it, until this is dropped.
#[derive(Debug)]
pub(super) struct Share<'r> {
    room: &'r Room,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// Nothing of it yet.
    pub(super) fn share(&self) -> Share<'_> {
        Share {
            room: self,
            bytes: 0,
        }
    }
}

impl Share<'_> {
    /// Takes more, if there is as much.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let order = Ordering::Relaxed;
        let less = |left: usize| left.checked_sub(more);
        let grows = self.room.0.fetch_update(order, order, less).is_ok();
        if grows {
            self.bytes += more;
        }
        grows
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_takes_others_have_when_it_is_gone() {
        let room = Room::new(10);
        let (mut first, mut second) = (room.share(), room.share());
        assert!(first.grow(4) && first.grow(3));
        assert!(!second.grow(4) && second.grow(3));
        assert!(!first.grow(1) && first.grow(0));
        drop(first);
        assert!(second.grow(7) && !second.grow(1));
        drop(second);
        assert!(room.share().grow(10));
    }
}
