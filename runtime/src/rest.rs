//! What a worker does when there is nothing to do: it looks for a while, then it sleeps.
//!
//! **How long it looks.** Sleeping costs a wake-up later, which takes [`WAKE_NS`]; looking costs the core meanwhile. Looking
//! for as long as a wake-up takes is at most twice as expensive as knowing the future (Karlin et al., "Competitive
//! snoopy caching", Algorithmica 1988). A worker looks for four times as long where the run leaves a cpu to others: there it
//! takes nobody's, and work that comes again and again does not wait for a wake-up. Where the past says that the next work is
//! far away, or where the runs of the process have more workers than there are cpus and as many of them are awake, it looks for
//! [`GLANCE_NS`] only; where another thread needed the core in the middle of it, not at all for the next
//! times (see [`QUIET`]). One worker looks at a time (see [`crate::idle`]), and where one has the pipeline to itself it counts
//! as the one that looks, until it has looked in vain: between two batches nobody is woken for what it finds next. Nobody looks
//! while a source rests, because the clock will tell.

use std::time::Duration;

use crate::{
    failpoint::{Place, reach},
    fork::Pace,
    lane::Lane,
    machine::{Asleep, Room},
    sync::spin_loop,
    worker::Worker,
};

/// What waking a worker takes, until it runs: about 50 us on a virtual machine.
pub(crate) const WAKE_NS: u64 = 50_000;
/// A short look.
const GLANCE_NS: u64 = 2_000;
/// As long it looks where there are more cpus than threads.
const SPARE_NS: u64 = 4 * WAKE_NS;
/// When the usual gap between two pieces of work is longer than this, looking does not pay.
const FAR_NS: u64 = 4 * WAKE_NS;
/// Two looks that are further apart than this: something else ran on this core meanwhile.
const DESCHEDULED_NS: u64 = 50_000;
/// Times that a worker does not look around after that: as often at first, twice as often each time that it happens again, and
/// so often at most.
const QUIET: [u32; 2] = [8, 64];
/// Pauses of the processor between two looks.
const PAUSES: u32 = 2;

/// What a worker knows about its gaps.
#[derive(Debug)]
pub(crate) struct Rest {
    /// When it last had something to do.
    worked: u64,
    /// A moving average of the gaps between two pieces of work.
    gap: u64,
    /// Times that it will not look around.
    quiet: u32,
    /// The same, when another thread needs the core next.
    next_quiet: u32,
    /// It is the one that looks for work.
    looking: bool,
    /// It has looked for work until now, and others have relied on that.
    pub(crate) searched: bool,
    /// How often it asks for forked jobs.
    pub(crate) pace: Pace,
    /// What it did last was a forked job.
    helped: bool,
}

impl Rest {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            worked: now,
            gap: 0,
            quiet: 0,
            next_quiet: QUIET[0],
            looking: false,
            searched: false,
            pace: Pace::default(),
            helped: false,
        }
    }

    /// It has worked until `now`.
    #[inline]
    pub(crate) fn worked(&mut self, begun: u64, now: u64) {
        let gap = begun.saturating_sub(self.worked);
        self.gap = (self.gap * 7 + gap) / 8;
        self.worked = now;
        self.helped = false;
    }

    /// It has worked on a forked job until `now`.
    pub(crate) fn helped(&mut self, begun: u64, now: u64) {
        self.worked(begun, now);
        self.helped = true;
    }

    /// How long to look around, counted from the last work.
    fn budget(&mut self, room: Room) -> u64 {
        if self.quiet > 0 {
            self.quiet -= 1;
            return 0;
        }
        match room {
            _ if self.gap > FAR_NS => GLANCE_NS,
            Room::Plenty => SPARE_NS,
            Room::Enough => WAKE_NS,
            Room::None => GLANCE_NS,
        }
    }
}

impl Worker<'_> {
    /// Is there anything to do that this worker could see from outside?
    pub(crate) fn sees_work(&self) -> bool {
        let shared = self.shared;
        if shared.is_finished()
            || shared.is_stopping()
            || self.sees_tasks()
            || shared.forks.has_offers()
        {
            return true;
        }
        let free = shared.credits.free();
        let enough = if shared.is_parallel() {
            free > 0
        } else {
            free == shared.credits.total()
        };
        let now = shared.now();
        if shared.aside.is_due(now) {
            return true;
        }
        let ready = || shared.sources.iter().any(|source| source.is_ready(now));
        enough && (shared.may_pull() && ready() || shared.is_over())
    }

    /// Looks for work, then sleeps, until there may be something to do.
    pub(crate) fn rest(&mut self) {
        let begun = self.tick();
        reach(Place::Resting);
        if !self.look() {
            self.stop_looking();
            self.holding(Self::sleep);
        }
        let rested = self.tick() - begun;
        self.charge(rested);
    }

    /// Looks around for as long as it pays; true if there is something.
    fn look(&mut self) -> bool {
        let shared = self.shared;
        let resting = shared
            .sources
            .iter()
            .any(|source| source.retry_time().is_some());
        let budget = if resting {
            0
        } else {
            self.rest.budget(shared.room())
        };
        if self.now() - self.rest.worked >= budget {
            return false;
        }
        // Others may look beside it for forked jobs, where there were some a moment ago.
        if !self.start_looking() && !self.rest.helped {
            return false;
        }
        let found = self.search(budget);
        if shared.is_parallel() {
            self.stop_looking();
        }
        found
    }

    /// Looks for work from now on, if no other worker does; then nobody is woken for it.
    pub(crate) fn start_looking(&mut self) -> bool {
        if !self.rest.looking {
            self.rest.looking = self.shared.idle.start_search();
        }
        self.rest.looking
    }

    /// Looks no more. Others have relied on that, so it looks once more: it takes what there is, or passes it on, or finds it
    /// before it sleeps.
    pub(crate) fn stop_looking(&mut self) {
        if std::mem::take(&mut self.rest.looking) {
            self.shared.idle.stop_search();
            self.rest.searched = true;
        }
    }

    fn search(&mut self, budget: u64) -> bool {
        loop {
            if self.sees_work() {
                self.rest.next_quiet = (self.rest.next_quiet / 2).max(QUIET[0]);
                return true;
            }
            let now = self.now();
            self.shared.forks.ask_awake(&mut self.rest.pace, now);
            for _ in 0..PAUSES {
                spin_loop();
            }
            let before = self.now();
            let now = self.tick();
            if now - before > DESCHEDULED_NS {
                self.rest.quiet = self.rest.next_quiet;
                self.rest.next_quiet = (self.rest.next_quiet * 2).min(QUIET[1]);
                return false;
            }
            if now - self.rest.worked >= budget {
                return false;
            }
        }
    }

    fn sleep(&mut self) {
        let shared = self.shared;
        // One sleeper is enough to ask a source again in time; it wakes the others when there is work for them.
        // While sources are paused nobody asks them; who ends that wakes a sleeper.
        let asked = (0..shared.sources.len()).filter(|_| shared.may_pull());
        let retry = asked
            .filter_map(|source| self.retry_time(source))
            .chain(shared.aside.first())
            .min();
        let mine = retry.filter(|at| shared.take_clock(*at));
        let timeout = mine.map(|at| Duration::from_nanos(at.saturating_sub(shared.now()).max(1)));
        let pause = self.rest.pace.pause(shared.now());
        let timeout = [timeout, pause].into_iter().flatten().min();
        self.stats().parks.add(1);
        let asleep = Asleep::begin();
        shared.seating.leave(self.id());
        let woken = shared.idle.park(self.id(), timeout, || {
            if pause.is_none() {
                shared.forks.ask_asleep();
            }
            // Whoever has given the clock back meanwhile may not have seen this sleeper.
            self.sees_work() || (mine.is_none() && retry.is_some() && shared.has_free_clock())
        });
        shared.seating.come_back(self.id());
        drop(asleep);
        self.stats().wakes.add(u64::from(woken));
        if woken && shared.forks.is_lowered() {
            self.woken_beside_forks();
        }
        if let Some(at) = mine {
            shared.give_clock_back(at);
            // It was woken for something that may take longer than the sources rest: another sleeper takes the clock over.
            if woken {
                shared.idle.wake_one();
            }
        }
    }

    /// When a source is asked again that had nothing. If it is time already, another worker is asking it, and afterwards it
    /// may rest: this one looks when that would be over at the earliest, as it does for a source that rests.
    fn retry_time(&self, source: usize) -> Option<u64> {
        let shared = self.shared;
        let at = shared.sources[source].retry_time()?;
        let now = shared.now();
        if at > now {
            return Some(at);
        }
        let stage = shared.info.sources[source].stage?;
        Some(now + shared.live.idle(stage))
    }

    /// Another thread woke it, perhaps for a forked job, and others may sleep that could take some.
    fn woken_beside_forks(&mut self) {
        let shared = self.shared;
        if self.sees_work() {
            shared.forks.pass_on();
        } else {
            self.rest.pace.in_vain(shared.now());
        }
    }

    /// Books time without work: as blocked if a source has something and no ticket was free, else as idle.
    fn charge(&self, rested: u64) {
        let shared = self.shared;
        let stats = self.stats();
        let blocked = shared.is_parallel()
            && shared.credits.free() == 0
            && shared
                .sources
                .iter()
                .any(|source| source.is_ready(self.now()));
        let on = if blocked {
            shared.credits.most_at(shared.info.links.len())
        } else {
            None
        };
        match on {
            Some(link) => stats.blocked_ns[link].add(rested),
            None => stats.idle_ns.add(rested),
        }
    }

    /// The lane that is served next whatever its turn: one that has waited too long.
    pub(crate) fn aged(&self) -> Option<Lane> {
        let shared = self.shared;
        let mut aged = None;
        for lane in shared
            .lanes
            .used()
            .from(Lane::LOW)
            .filter(|lane| *lane != Lane::CRITICAL)
        {
            let waits = shared.lanes.waits_in(lane)
                || shared
                    .sources
                    .iter()
                    .any(|source| source.is_ready_in(lane, self.now()));
            if !waits {
                shared.lanes.served(lane, self.now());
            } else if aged.is_none() && shared.lanes.is_aged(lane, self.now()) {
                aged = Some(lane);
            }
        }
        aged
    }
}
