//! Which batches of a source are done: a line of them, whose front may be committed as far as it is done.
//!
//! A source that is acknowledged puts every batch that it gives into the line, with the position behind the batch, under its
//! token: so the line is in the order of the source. Whoever gives back the last reference to a batch's ticket says that the batch is
//! done. When the first of the line is done, it and all done ones behind it leave, and the position of the last of them may be committed:
//! everything before it is done, whatever became of the batches in which order.
//!
//! A batch that lost an item is never said to be done (see [`crate::acks`]); then the line stays, and nothing behind it is committed.
//!
//! A batch of which items were *given back* stays, too, and all behind it, also when they are done. When all of them are, nothing is on its way:
//! then the source may go back to the front, and the line is empty.
//!
//! It has a lock, which is taken twice for a batch and held for some loads and stores. The line is bounded: a source whose line
//! is full is not asked, so a batch that takes long holds back at most so many others.

use std::collections::VecDeque;

use crate::sync::{Mutex, MutexGuard};

/// The line of one source, with positions of type `P`.
pub(crate) struct AckRing<P> {
    inside: Mutex<Inside<P>>,
    room: usize,
}

struct Inside<P> {
    /// The batches that are not done, or behind one that is not.
    line: VecDeque<Entry<P>>,
    /// Everything before this position is done.
    front: Option<P>,
    /// Has it moved since it was taken?
    moved: bool,
    /// Were items given back of a batch in the line?
    returned: bool,
}

struct Entry<P> {
    batch: u64,
    position: P,
    done: bool,
    /// Were items of it given back?
    returned: bool,
}

/// Where the batches of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of them are done.
    Clear,
    /// Some are on their way.
    Busy,
    /// Items were given back; `settled`: nothing is on its way any more.
    Returned { settled: bool },
}

impl<P> AckRing<P> {
    /// For so many batches that are not done.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            inside: Mutex::new(Inside {
                line: VecDeque::with_capacity(room),
                front: None,
                moved: false,
                returned: false,
            }),
            room,
        }
    }

    /// May another batch come?
    pub(crate) fn has_room(&self) -> bool {
        self.inside().line.len() < self.room
    }

    /// Is every batch done that was given?
    pub(crate) fn is_empty(&self) -> bool {
        self.inside().line.is_empty()
    }

    /// A batch was given, whose number is higher than all before it, and which ends at `position`.
    pub(crate) fn push(&self, batch: u64, position: P) {
        self.inside().line.push_back(Entry {
            batch,
            position,
            done: false,
            returned: false,
        });
    }

    /// All items of a batch were delivered, filtered, or left by a door.
    pub(crate) fn done(&self, batch: u64) {
        let mut inside = self.inside();
        // In the order of their numbers, with gaps where a pull gave nothing.
        let found = inside
            .line
            .binary_search_by_key(&batch, |entry| entry.batch);
        if let Ok(at) = found {
            inside.line[at].done = true;
            if at == 0 {
                inside.advance();
            }
        }
    }

    /// Items of a batch that is not done were given back.
    pub(crate) fn give_back(&self, batch: u64) {
        let mut inside = self.inside();
        let found = inside
            .line
            .binary_search_by_key(&batch, |entry| entry.batch);
        if let Ok(at) = found {
            inside.line[at].returned = true;
            inside.returned = true;
        }
    }

    /// Where the batches are.
    pub(crate) fn standing(&self) -> Standing {
        let inside = self.inside();
        if inside.line.is_empty() {
            return Standing::Clear;
        }
        match inside.returned {
            false => Standing::Busy,
            true => Standing::Returned {
                settled: inside.line.iter().all(|entry| entry.done),
            },
        }
    }

    /// The source begins at `position`.
    pub(crate) fn begin(&self, position: P) {
        self.inside().front = Some(position);
    }

    /// The position up to which everything is done, as `copy` copies it, to which the source goes back: all batches behind it are
    /// forgotten. `None` while some are on their way, or if none was given back.
    pub(crate) fn go_back(&self, copy: fn(&P) -> P) -> Option<P> {
        let mut inside = self.inside();
        if !inside.returned || !inside.line.iter().all(|entry| entry.done) {
            return None;
        }
        let position = inside.front.as_ref().map(copy)?;
        inside.line.clear();
        inside.returned = false;
        Some(position)
    }

    /// All batches that were given are done.
    pub(crate) fn all_done(&self) {
        let mut inside = self.inside();
        for entry in &mut inside.line {
            entry.done = true;
        }
        inside.advance();
    }

    /// The position up to which everything is done, if it has moved.
    pub(crate) fn take(&self) -> Option<P> {
        let mut inside = self.inside();
        inside.moved = false;
        inside.front.take()
    }

    /// As [`Self::take`], for a source that goes back: a copy, because the position is where it goes back to.
    pub(crate) fn take_copy(&self, copy: fn(&P) -> P) -> Option<P> {
        let mut inside = self.inside();
        match std::mem::take(&mut inside.moved) {
            true => inside.front.as_ref().map(copy),
            false => None,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside<P>> {
        // Nothing under the lock panics halfway: positions are moved, and dropped outside of it or when they are replaced.
        self.inside
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<P> Inside<P> {
    fn advance(&mut self) {
        while let Some(first) = self
            .line
            .pop_front_if(|entry| entry.done && !entry.returned)
        {
            self.front = Some(first.position);
            self.moved = true;
        }
    }
}

impl<P> std::fmt::Debug for AckRing<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AckRing")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The same, as plainly as can be: all that was given, and whether it is done.
    #[derive(Default)]
    struct Model(Vec<(u64, bool)>);

    impl Model {
        fn prefix(&self) -> Option<u64> {
            let done = self.0.iter().take_while(|(_, done)| *done);
            done.last().map(|(batch, _)| batch * 10)
        }
    }

    #[test]
    fn what_may_be_committed_is_the_front_that_is_done() {
        for seed in 1..200u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut next = |below: u64| {
                // xorshift64, Marsaglia 2003.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let (ring, mut model) = (AckRing::new(16), Model::default());
            let (mut batch, mut committed) = (0, None);
            for _ in 0..400 {
                match next(3) {
                    0 if ring.has_room() => {
                        batch += 1 + next(3);
                        ring.push(batch, batch * 10);
                        model.0.push((batch, false));
                    }
                    1 => {
                        let open: Vec<usize> =
                            (0..model.0.len()).filter(|at| !model.0[*at].1).collect();
                        if !open.is_empty() {
                            let at = open[next(open.len() as u64) as usize];
                            model.0[at].1 = true;
                            ring.done(model.0[at].0);
                        }
                    }
                    _ => committed = ring.take().or(committed),
                }
                let open = model
                    .0
                    .iter()
                    .position(|(_, done)| !done)
                    .map_or(0, |first| model.0.len() - first);
                assert_eq!(ring.has_room(), open < 16, "seed {seed}");
            }
            committed = ring.take().or(committed);
            assert_eq!(committed, model.prefix(), "seed {seed}");
            ring.all_done();
            if let Some((last, _)) = model.0.last() {
                assert_eq!(ring.take().or(committed), Some(last * 10), "seed {seed}");
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod given_back {
    use super::*;

    #[test]
    fn a_source_goes_back_to_the_first_batch_that_was_given_back_when_nothing_is_on_its_way() {
        let (ring, copy) = (AckRing::new(8), |position: &u64| *position);
        ring.begin(0);
        assert_eq!(
            (ring.take_copy(copy), ring.standing()),
            (None, Standing::Clear)
        );
        for batch in 1..=4 {
            ring.push(batch, batch * 10);
        }
        assert_eq!(ring.standing(), Standing::Busy);
        ring.give_back(2);
        for batch in [1, 4, 2] {
            ring.done(batch);
        }
        assert_eq!(ring.standing(), Standing::Returned { settled: false });
        assert_eq!(ring.go_back(copy), None, "the third is on its way");
        assert_eq!(ring.take_copy(copy), Some(10), "the first is done");
        ring.done(3);
        assert_eq!(ring.standing(), Standing::Returned { settled: true });
        assert_eq!(ring.take_copy(copy), None, "nothing behind it is committed");
        assert_eq!(ring.go_back(copy), Some(10));
        assert_eq!(
            (ring.standing(), ring.take_copy(copy)),
            (Standing::Clear, None)
        );
        ring.push(7, 30);
        ring.done(7);
        assert_eq!(ring.take_copy(copy), Some(30));
        assert_eq!(ring.go_back(copy), None, "nothing was given back");
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::{sync::Arc, thread};

    use super::*;

    /// Two workers end batches in any order while a third thread commits: what is committed only grows, and is never behind a batch
    /// that is not done.
    #[test]
    fn loom_the_front_is_committed_in_order_and_not_too_early() {
        loom::model(|| {
            let ring = Arc::new(AckRing::new(4));
            let ended = Arc::new(Mutex::new([false; 4]));
            for batch in 1..=3 {
                ring.push(batch, batch);
            }
            let workers = [vec![2], vec![1, 3]].map(|batches| {
                let (ring, ended) = (Arc::clone(&ring), Arc::clone(&ended));
                thread::spawn(move || {
                    for batch in batches {
                        ended.lock().unwrap()[batch as usize] = true;
                        ring.done(batch);
                    }
                })
            });
            let mut last = 0;
            for _ in 0..2 {
                if let Some(position) = ring.take() {
                    assert!(position > last);
                    last = position;
                    let ended = ended.lock().unwrap();
                    assert!((1..=position).all(|batch| ended[batch as usize]));
                }
            }
            for worker in workers {
                worker.join().unwrap();
            }
            assert_eq!(ring.take().unwrap_or(last), 3);
        });
    }
}
