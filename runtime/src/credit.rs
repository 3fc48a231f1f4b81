//! Credits: how many batches may be on their way at once, and who may have the whole pipeline.
//!
//! A pipeline has a fixed number of tickets. A worker takes one before it pulls from a source and every batch that comes
//! from that pull shares it; when the last of them is done the ticket is free again. So memory is bounded, every gate
//! knows how many batches can meet in it, and no push inside the pipeline can fail.
//!
//! A ticket also carries the sequence numbers that its pull drew, one per ordered gate that its items pass (see
//! [`crate::ring`]), and the source that it came from.
//!
//! **Costs.** Whoever works on a batch charges the time to its ticket. So whoever gives the last reference back knows what the
//! pull's items have cost, also those that were left at a gate or for another worker.
//!
//! **Pieces.** A batch that was divided while it ran has several tickets: that of the root, which it began with, and one for
//! each piece that was split off. A piece holds a reference to its root (see [`crate::tail`]).
//!
//! **Exclusive access.** Whoever takes all tickets at once knows that no batch exists anywhere: it may touch every state
//! of the pipeline directly, without a gate. `count` is the number of free tickets; taking one is a decrement, taking
//! all is one swap from `total` to 0, giving back is an increment with Release. Taking acquires, so what was done under
//! a ticket (or under all of them) happens before what the next taker does.

use crossbeam_utils::CachePadded;

use crate::{
    lane::Lane,
    sync::{AtomicU32, AtomicU64, Ordering, spin_loop},
};

/// Links of which it is known how many tickets are on their way to them.
const LINKS_SEEN: usize = 256;

/// The batch of a ticket with which nothing was pulled.
pub(crate) const NO_BATCH: u64 = u64::MAX;

/// The tickets of one pipeline.
pub(crate) struct Credits {
    /// Free tickets.
    count: CachePadded<AtomicU32>,
    tickets: Box<[CachePadded<Ticket>]>,
}

struct Ticket {
    /// Batches that share this ticket; 0 when it is free.
    refs: AtomicU32,
    /// Which source drew it.
    source: AtomicU32,
    /// The lane in which it was drawn.
    lane: AtomicU32,
    /// The link that its last batch was made for.
    at: AtomicU32,
    /// The ticket of the batch that it is a piece of; its own, if it is none.
    root: AtomicU32,
    /// The place of its first item in that batch.
    place: AtomicU32,
    /// Pieces of its batch, itself included.
    pieces: AtomicU32,
    /// The number of its batch among those of its source.
    batch: AtomicU64,
    /// When all of its items are of no use any more, in nanoseconds of the run.
    until: AtomicU64,
    /// Items that were pulled with it; 0 while that is not known, or where nobody learns from them.
    items: AtomicU64,
    /// How long was worked on them so far, in nanoseconds.
    ns: AtomicU64,
    /// How long at a time, at most.
    longest: AtomicU64,
    /// Number at each ordered gate, indexed by the gate.
    numbers: Box<[AtomicU64]>,
}

/// What the items of one pull have cost, wherever they were worked on. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) items: u64,
    /// All time that was worked on them.
    pub(crate) ns: u64,
    /// The longest time that one worker worked on them at once.
    pub(crate) longest: u64,
}

impl Spent {
    /// By one worker at once.
    pub(crate) fn at_once(items: u64, ns: u64) -> Self {
        Self {
            items,
            ns,
            longest: ns,
        }
    }
}

impl Credits {
    /// `total` tickets, each with room for the numbers of `gates` ordered gates.
    pub(crate) fn new(total: u32, gates: usize) -> Self {
        let ticket = || {
            CachePadded::new(Ticket {
                refs: AtomicU32::new(0),
                source: AtomicU32::new(0),
                lane: AtomicU32::new(0),
                at: AtomicU32::new(u32::MAX),
                root: AtomicU32::new(0),
                place: AtomicU32::new(0),
                pieces: AtomicU32::new(1),
                batch: AtomicU64::new(NO_BATCH),
                until: AtomicU64::new(u64::MAX),
                items: AtomicU64::new(0),
                ns: AtomicU64::new(0),
                longest: AtomicU64::new(0),
                numbers: (0..gates).map(|_| AtomicU64::new(0)).collect(),
            })
        };
        Self {
            count: CachePadded::new(AtomicU32::new(total)),
            tickets: (0..total).map(|_| ticket()).collect(),
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.tickets.len() as u32
    }

    /// Free tickets at this moment.
    pub(crate) fn free(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Takes a ticket with one reference, or `None` when all are out.
    pub(crate) fn take(&self, source: u32, lane: Lane) -> Option<u32> {
        let mut count = self.count.load(Ordering::Relaxed);
        loop {
            if count == 0 {
                return None;
            }
            // Acquire: what happened under the ticket before, and under exclusive access, is visible to the taker.
            match self.count.compare_exchange_weak(
                count,
                count - 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => count = now,
            }
        }
        // The decrement is the right to one free ticket; which one is found by claiming the first that is free. At most
        // `total - 1` others are claimed or being claimed, so a free one exists at every moment of the search; another
        // claimer may overtake, but then it has found its own.
        loop {
            for (i, ticket) in self.tickets.iter().enumerate() {
                let free = ticket.refs.load(Ordering::Relaxed) == 0;
                if free
                    && ticket
                        .refs
                        .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                {
                    ticket.source.store(source, Ordering::Relaxed);
                    ticket.lane.store(lane.index() as u32, Ordering::Relaxed);
                    ticket.root.store(i as u32, Ordering::Relaxed);
                    ticket.place.store(0, Ordering::Relaxed);
                    ticket.pieces.store(1, Ordering::Relaxed);
                    ticket.batch.store(NO_BATCH, Ordering::Relaxed);
                    ticket.until.store(u64::MAX, Ordering::Relaxed);
                    ticket.items.store(0, Ordering::Relaxed);
                    ticket.ns.store(0, Ordering::Relaxed);
                    ticket.longest.store(0, Ordering::Relaxed);
                    return Some(i as u32);
                }
            }
            spin_loop();
        }
    }

    /// One more batch shares the ticket. The caller holds a reference, so it cannot become free meanwhile.
    #[inline]
    pub(crate) fn share(&self, ticket: u32) {
        self.share_with(ticket, 1);
    }

    /// As [`Self::share`], for so many more.
    #[inline]
    pub(crate) fn share_with(&self, ticket: u32, batches: u32) {
        self.tickets[ticket as usize]
            .refs
            .fetch_add(batches, Ordering::Relaxed);
    }

    /// Makes `tail`, which was just taken, the ticket of a piece of `ticket`'s batch, or of the batch that this one is a piece
    /// of. The caller has a reference to `ticket`. The piece gets one to the root; when it is free, [`Self::release`] that.
    pub(crate) fn divide(&self, ticket: u32, tail: u32, place: u32) {
        let root = self.root(ticket);
        self.share(root);
        // Relaxed, all of it: whoever reads it was handed a piece, and the hand-over orders it.
        self.tickets[tail as usize]
            .root
            .store(root, Ordering::Relaxed);
        self.tickets[tail as usize]
            .place
            .store(place, Ordering::Relaxed);
        self.tickets[root as usize]
            .pieces
            .fetch_add(1, Ordering::Relaxed);
    }

    /// The number of the ticket's batch among those of its source. The caller holds a reference.
    pub(crate) fn set_batch(&self, ticket: u32, batch: u64) {
        // Relaxed: as in `divide`.
        self.tickets[ticket as usize]
            .batch
            .store(batch, Ordering::Relaxed);
    }

    pub(crate) fn batch(&self, ticket: u32) -> u64 {
        self.tickets[ticket as usize].batch.load(Ordering::Relaxed)
    }

    /// When all of its items are of no use any more. The caller holds a reference.
    pub(crate) fn set_until(&self, ticket: u32, until: u64) {
        // Relaxed: as in `divide`.
        self.tickets[ticket as usize]
            .until
            .store(until, Ordering::Relaxed);
    }

    pub(crate) fn until(&self, ticket: u32) -> u64 {
        self.tickets[ticket as usize].until.load(Ordering::Relaxed)
    }

    /// The place of the first item of `tail`, which was just taken, in the batch of `ticket`, of which it is no piece.
    pub(crate) fn set_place(&self, tail: u32, place: u32) {
        // Relaxed: as in `divide`.
        self.tickets[tail as usize]
            .place
            .store(place, Ordering::Relaxed);
    }

    /// Keeps `ticket`'s root out as long as `tail`, which was just taken. Gates do not count it as a piece. The caller has a reference
    /// to `ticket`; when the tail is free, [`Self::release`] the root.
    pub(crate) fn attach(&self, ticket: u32, tail: u32) {
        let root = self.root(ticket);
        self.share(root);
        // Relaxed: as in `divide`.
        self.tickets[tail as usize]
            .root
            .store(root, Ordering::Relaxed);
    }

    /// The ticket of the batch that this one's is a piece of. The caller has a reference.
    pub(crate) fn root(&self, ticket: u32) -> u32 {
        self.tickets[ticket as usize].root.load(Ordering::Relaxed)
    }

    /// The place of a piece's first item in its root's batch.
    pub(crate) fn place(&self, ticket: u32) -> u32 {
        self.tickets[ticket as usize].place.load(Ordering::Relaxed)
    }

    /// Pieces of a root's batch that were made so far.
    pub(crate) fn pieces(&self, root: u32) -> u32 {
        self.tickets[root as usize].pieces.load(Ordering::Relaxed)
    }

    /// So many items were pulled with the ticket. The caller holds a reference.
    pub(crate) fn pulled(&self, ticket: u32, items: u64) {
        // Relaxed: read by whoever releases last, and the releases order it.
        self.tickets[ticket as usize]
            .items
            .store(items, Ordering::Relaxed);
    }

    /// A worker has worked so long on batches of the ticket. The caller holds a reference.
    pub(crate) fn charge(&self, ticket: u32, ns: u64) {
        let ticket = &self.tickets[ticket as usize];
        // Relaxed: as in `pulled`.
        ticket.ns.fetch_add(ns, Ordering::Relaxed);
        ticket.longest.fetch_max(ns, Ordering::Relaxed);
    }

    /// The source of the ticket, and what its items have cost, if they are known and the caller holds the last reference: who
    /// does can rely on that, because only who has a reference can share it. Two that give back the last two at once may both
    /// not be told.
    pub(crate) fn spent(&self, ticket: u32) -> Option<(usize, Spent)> {
        let ticket = &self.tickets[ticket as usize];
        let items = ticket.items.load(Ordering::Relaxed);
        // Acquire: pairs with the releases of the others, behind what they charged.
        let last = items != 0 && ticket.refs.load(Ordering::Acquire) == 1;
        last.then(|| {
            let spent = Spent {
                items,
                ns: ticket.ns.load(Ordering::Relaxed),
                longest: ticket.longest.load(Ordering::Relaxed),
            };
            (ticket.source.load(Ordering::Relaxed) as usize, spent)
        })
    }

    /// A batch with this ticket is done. If it was the ticket's last, returns how many are free now.
    #[inline]
    pub(crate) fn release(&self, ticket: u32) -> Option<u32> {
        // AcqRel: the last one out has seen what the others did under the ticket, and passes it on below.
        if self.tickets[ticket as usize]
            .refs
            .fetch_sub(1, Ordering::AcqRel)
            != 1
        {
            return None;
        }
        Some(self.count.fetch_add(1, Ordering::Release) + 1)
    }

    /// Takes all tickets at once: true if none was out. Then nobody else may touch the pipeline until [`Self::open`].
    pub(crate) fn take_all(&self) -> bool {
        let total = self.total();
        // Acquire: every release before it is in the release sequence of the count.
        self.count
            .compare_exchange(total, 0, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives all tickets back.
    pub(crate) fn open(&self) {
        self.count.store(self.total(), Ordering::Release);
    }

    /// Writes the number that the ticket has at an ordered gate. Called by the puller, under the source's token.
    pub(crate) fn number(&self, ticket: u32, gate: usize, number: u64) {
        // Relaxed: read only by those to whom a batch of this ticket was handed, and the hand-over orders it.
        self.tickets[ticket as usize].numbers[gate].store(number, Ordering::Relaxed);
    }

    pub(crate) fn number_at(&self, ticket: u32, gate: usize) -> u64 {
        self.tickets[ticket as usize].numbers[gate].load(Ordering::Relaxed)
    }

    /// A batch of the ticket is on its way to a link.
    #[inline]
    pub(crate) fn set_at(&self, ticket: u32, link: u16) {
        // Relaxed: statistics.
        self.tickets[ticket as usize]
            .at
            .store(link.into(), Ordering::Relaxed);
    }

    /// The link that most tickets are on their way to, of the first `links` links and of the first [`LINKS_SEEN`].
    pub(crate) fn most_at(&self, links: usize) -> Option<usize> {
        let mut at = [0u32; LINKS_SEEN];
        let at = &mut at[..links.min(LINKS_SEEN)];
        for ticket in &self.tickets {
            if let Some(count) = at.get_mut(ticket.at.load(Ordering::Relaxed) as usize) {
                *count += 1;
            }
        }
        let most = at.iter().enumerate().max_by_key(|(_, count)| **count)?;
        (*most.1 > 0).then_some(most.0)
    }

    /// The lane in which a ticket was drawn.
    pub(crate) fn lane(&self, ticket: u32) -> Lane {
        Lane::from_index(self.tickets[ticket as usize].lane.load(Ordering::Relaxed) as usize)
    }

    pub(crate) fn source(&self, ticket: u32) -> u32 {
        self.tickets[ticket as usize].source.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Credits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credits")
            .field("free", &self.free())
            .field("total", &self.total())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_knows_what_the_items_of_a_pull_have_cost() {
        let credits = Credits::new(2, 0);
        let ticket = credits.take(3, Lane::NORMAL).expect("a free ticket");
        assert_eq!(credits.spent(ticket), None, "nothing was pulled");
        credits.share(ticket);
        credits.pulled(ticket, 100);
        credits.charge(ticket, 40);
        assert_eq!(credits.spent(ticket), None, "a batch of it is on its way");
        credits.charge(ticket, 60);
        credits.charge(ticket, 20);
        credits.release(ticket);
        let spent = Spent {
            items: 100,
            ns: 120,
            longest: 60,
        };
        assert_eq!(credits.spent(ticket), Some((3, spent)));
        credits.release(ticket);
        assert_eq!(credits.take(0, Lane::NORMAL), Some(ticket));
        assert_eq!(credits.spent(ticket), None, "it begins anew");
    }
}
