//! Quarantine: what follows when a call of a user's function does not return.
//!
//! A thread cannot be taken out of a function that it is in. So a worker whose call *hangs* (it runs for longer than its stage
//! allows, see [`crate::guard`]) is put in quarantine, and another worker stands in for it: there are as many at work as before.
//!
//! **The seats.** A pool has a seat for each worker, and [`MOST`](crate::seats::MOST) more for each stage whose calls are watched. All that
//! belongs to one worker (its run queue, its counters, its bit among the sleepers) belongs to a seat, and a seat has one
//! thread as long as it lives. So nobody who stands in shares anything with the one in quarantine. A seat is
//!
//! * *at work*: its worker works, or rests as workers do when there is nothing to do;
//! * *in quarantine*: its worker is in a call that hangs, and one at another seat stands in for it;
//! * *spare*: its worker's call has returned, and it waits until it has to stand in for another one;
//! * *empty*: it has had no thread yet;
//! * *closed*: its thread could not be started.
//!
//! **Who may do what.** The thread that looks after guards (`guard/watch.rs`) moves a seat from *at work* to *in quarantine*, and
//! with it one from *spare* or *empty* to *at work*: those two steps are one, under the lock. A worker moves its own seat from *in
//! quarantine* to *spare*, between two batches, and nobody else does. So as many are at work as the pool has workers, or more for
//! a moment, and of a stage at most [`MOST`](crate::seats::MOST) are in quarantine at a time. Where there are more calls that hang they are told, and
//! their turn comes when one of the others has returned.
//!
//! **What others can go on with.** All that a worker has left for itself or for others lies where others take it: batches in its
//! run queue, in lanes and in the overflow, those that were put aside, flights of futures, items in inputs and in sources. A worker that carries a
//! batch into a stage holds nothing of a source by then. Workers are not woken for the one task that the worker which leaves
//! it runs next; so whoever sees that a call hangs wakes one. Where a loop has several outputs, generated code hands those on
//! last that lead to stages whose calls are watched, and leaves all of them but one in the run queue, so that
//! none lies on the stack below a call.
//!
//! **What stays with the call.** The batch in which it is: the items behind it, and what those before it have made; the right
//! to pass the gate through which it came, where the stage has one state, one for each key (a partition of the keys), or sees its
//! items in order; a permit, where only so many workers may be in the stage; a batch that was suspended for urgent work which
//! hangs, with what its loop has made; and memory: the buffers of those batches, and the free blocks that the thread keeps for
//! itself. All that has one owner, the thread in the call, and cannot be taken from it. So nothing is done twice: a batch
//! that hangs is not tried elsewhere. Its ticket is out, so that nothing behind it is acknowledged, and whatever keeps order
//! waits for it.
//!
//! **Who is not looked after.** Stages without `timeout` and without a threshold of slow calls, because nothing is written down when
//! their calls begin; and futures, which are cancelled, but not while they block their thread in a poll. The threads of pinned stages
//! are looked after and told, but nobody stands in for them: each has a core and states of its own. A job of `join` that hangs on
//! another worker's thread is seen as a call of the worker that forked it, and that one is replaced.
//!
//! **Why nothing is lost.** When the call returns, its worker goes on with the batch as if nothing had happened. Then, before it
//! looks for anything else, it finds that another one stands in for it. It leaves its run queue to the others, wakes one, which
//! finds whatever it was about to look for itself (a task, a free ticket, the end of the run), and takes the spare seat. It
//! sleeps there under the lock, and whoever calls it, or ends the run, tells it under the lock, so that it misses neither.
//!
//! **A worker that is marked although its call has just returned** does the same: what decides is the mark, not the call. To call a
//! worker off needs no more than that it is seen at a boundary some time, so the mark is a plain flag.

use std::{fmt, io};

use crossbeam_deque::Worker as Queue;

use crate::{carrier::Task, machine::Asleep, seats::StandIn, shared::Shared, worker::Worker};

/// Starts the thread of an empty seat, whose worker stands in for that of another one.
pub(crate) type Starts<'s> = Box<dyn Fn(usize, Queue<Task>, usize) -> io::Result<()> + Send + 's>;

impl Shared {
    /// A call of `stage` by worker `id` hangs: lets another one stand in for it, if there is one. True if there is.
    pub(crate) fn stand_in(&self, id: usize, stage: u16, starts: &Starts<'_>) -> bool {
        match self.seats.put(id, stage) {
            StandIn::Nobody => false,
            StandIn::Called => true,
            StandIn::New(new, queue) => {
                let started = starts(new, queue, id);
                if let Err(error) = &started {
                    self.nobody_stands_in((new, id), error);
                }
                started.is_ok()
            }
        }
    }

    /// The first of these cannot stand in for the second.
    pub(crate) fn nobody_stands_in(&self, (new, id): (usize, usize), error: &dyn fmt::Display) {
        self.seats.close(new, id);
        self.warnings.add(format!(
            "no other worker could stand in for one whose call hangs: {error}"
        ));
    }
}

impl Worker<'_> {
    /// If another one stands in for this worker, waits until it has to stand in for one itself. Called between two batches.
    #[cold]
    pub(crate) fn give_way(&mut self) {
        let (shared, id) = (self.shared, self.id());
        if !shared.seats.is_marked(id) {
            return;
        }
        let begun = self.tick();
        self.holding(Self::leave_all);
        let asleep = Asleep::begin();
        shared.seating.leave(id);
        shared
            .seats
            .wait(id, || shared.is_finished() || shared.is_stopping());
        shared.seating.come_back(id);
        drop(asleep);
        let now = self.tick();
        self.stats().idle_ns.add(now - begun);
    }
}
