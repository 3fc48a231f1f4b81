//! Where the pieces of a divided batch come together again, before a gate that has one number for all of them.
//!
//! A batch is divided while it runs, and its pieces too (see [`crate::tail`]). Each piece has a ticket that names its root and
//! its place, and the root's ticket counts the pieces. Whoever brings a piece leaves it here; whoever sees as many pieces as
//! the root counts takes all of them, in order, and goes on.
//!
//! **Why the count is final when it is reached.** A piece is divided before it is brought here, by whoever brings it. So as
//! long as a piece is missing, either it was counted by a piece that is here, or its origin is missing as well; the root
//! counts itself. Each count happens before its piece is brought, and each piece is brought under the lock: whoever holds the
//! lock sees at least one count more than pieces are here, until all of them are.
//!
//! It has a lock, which nobody holds for longer than it takes to look through the pieces that wait, and which only pieces of
//! divided batches take. The lists of pieces are used again, so nothing is allocated for a divided batch.

use crate::{
    credit::Credits,
    sync::{Mutex, MutexGuard},
};

/// The pieces that wait at one gate.
pub(crate) struct Regroup<T>(Mutex<Inside<T>>);

struct Inside<T> {
    waiting: Vec<Piece<T>>,
    /// Empty lists, for batches that are whole.
    spare: Vec<Vec<Piece<T>>>,
}

struct Piece<T> {
    root: u32,
    part: u16,
    place: u32,
    value: T,
}

impl<T> Regroup<T> {
    /// For so many pieces, in all batches that can be on their way at once, and so many threads that bring them.
    pub(crate) fn new(pieces: usize, threads: usize) -> Self {
        let list = || Vec::with_capacity(pieces);
        Self(Mutex::new(Inside {
            waiting: list(),
            spare: (0..threads).map(|_| list()).collect(),
        }))
    }

    /// Brings a piece, of part `part` of its ticket at this gate. If it is the last one, returns the first of them in order, to
    /// which `join` has added each of the others.
    pub(crate) fn bring(
        &self,
        credits: &Credits,
        ticket: u32,
        part: u16,
        value: T,
        join: impl FnMut(&mut T, T),
    ) -> Option<T> {
        let mut whole = self.last(credits, ticket, part, value)?;
        whole.sort_unstable_by_key(|piece| piece.place);
        let joined = joined(whole.drain(..).map(|piece| piece.value), join);
        self.inside().spare.push(whole);
        joined
    }

    /// Brings a piece. If it is the last one, returns all of them in any order.
    fn last(&self, credits: &Credits, ticket: u32, part: u16, value: T) -> Option<Vec<Piece<T>>> {
        let root = credits.root(ticket);
        let mut inside = self.inside();
        let Inside { waiting, spare } = &mut *inside;
        let place = credits.place(ticket);
        waiting.push(Piece {
            root,
            part,
            place,
            value,
        });
        let is_here = |piece: &Piece<T>| piece.root == root && piece.part == part;
        let here = waiting.iter().filter(|piece| is_here(piece)).count();
        if here < credits.pieces(root) as usize {
            return None;
        }
        let mut whole = spare.pop().unwrap_or_default();
        whole.extend(waiting.extract_if(.., |piece| is_here(piece)));
        Some(whole)
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        // If memory runs out under the lock, what is there is still whole.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn joined<T>(pieces: impl Iterator<Item = T>, mut join: impl FnMut(&mut T, T)) -> Option<T> {
    pieces.reduce(|mut whole, piece| {
        join(&mut whole, piece);
        whole
    })
}

impl<T> std::fmt::Debug for Regroup<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Regroup").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::{sync::Arc, thread};

    use super::*;
    use crate::lane::Lane;

    struct World {
        credits: Credits,
        gate: Regroup<Vec<u32>>,
    }

    impl World {
        /// Splits a piece off `ticket`, from `place` on.
        fn divide(&self, ticket: u32, place: u32) -> u32 {
            let tail = self.credits.take(0, Lane::NORMAL).expect("a free ticket");
            self.credits.divide(ticket, tail, place);
            tail
        }

        /// Brings a piece; whoever has all of them gives their tickets back. The places, in order.
        fn bring(&self, ticket: u32) -> Option<Vec<u32>> {
            let join = |whole: &mut Vec<u32>, piece| whole.extend(piece);
            let pieces = self
                .gate
                .bring(&self.credits, ticket, 0, vec![ticket], join)?;
            let places = pieces
                .iter()
                .map(|piece| self.credits.place(*piece))
                .collect();
            for piece in pieces {
                let root = self.credits.root(piece);
                if self.credits.release(piece).is_some() && root != piece {
                    self.credits.release(root);
                }
            }
            Some(places)
        }
    }

    fn check(model: impl Fn(Arc<World>) -> Vec<Option<Vec<u32>>> + Send + Sync + 'static) {
        crate::loom_models::check(3, move || {
            let world = Arc::new(World {
                credits: Credits::new(3, 0),
                gate: Regroup::new(3, 2),
            });
            let brought: Vec<_> = model(Arc::clone(&world)).into_iter().flatten().collect();
            assert_eq!(brought, [[0, 4, 6]]);
            assert_eq!(world.credits.free(), 3);
        });
    }

    /// A batch is divided, and its tail is divided by whoever took it.
    #[test]
    fn loom_pieces_of_pieces_come_together_once_and_in_order() {
        check(|world| {
            let root = world.credits.take(0, Lane::NORMAL).expect("a free ticket");
            let tail = world.divide(root, 4);
            let second = {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let last = world.divide(tail, 6);
                    let third = {
                        let world = Arc::clone(&world);
                        thread::spawn(move || world.bring(last))
                    };
                    [world.bring(tail), third.join().unwrap()]
                })
            };
            let mut brought = vec![world.bring(root)];
            brought.extend(second.join().unwrap());
            brought
        });
    }

    /// A batch is divided twice by the worker that has its head.
    #[test]
    fn loom_tails_of_one_batch_come_together_once_and_in_order() {
        check(|world| {
            let root = world.credits.take(0, Lane::NORMAL).expect("a free ticket");
            let others = [6, 4].map(|place| {
                let (piece, world) = (world.divide(root, place), Arc::clone(&world));
                thread::spawn(move || world.bring(piece))
            });
            let mut brought = vec![world.bring(root)];
            brought.extend(others.into_iter().map(|other| other.join().unwrap()));
            brought
        });
    }
}
