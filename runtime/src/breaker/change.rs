//! Admission, and changes of state.
//!
//! A change has one author: whoever exchanges the control word for `Changing` in the next generation. Only the author writes
//! to [`Changes`], and stores the word of the new state behind it (Release), so whoever reads that word (Acquire) reads the
//! numbers of that state, or of a later one, in which case nothing is admitted by the old word any more.

use std::time::Duration;

use super::{
    Breaker, BreakerBuilder, Class, Event, Reason, Refused, Rows, State, Ticket,
    control::{Mode, Word},
    window::Counts,
};
use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop};

/// Looks at a change in progress before a caller is refused.
const LOOKS: u32 = 64;
/// What is admitted at the beginning of a ramp, in percent.
const RAMP_FROM: u64 = 10;

/// What belongs to the state that the control word names.
#[derive(Debug)]
pub(super) struct Changes {
    /// When the state began, by the breaker's clock, in nanoseconds.
    since: AtomicU64,
    /// When it ends by itself: the open time, the time of the probes, the ramp.
    until: AtomicU64,
    /// Times that it opened without having been closed for long.
    opens: AtomicU32,
    /// Results of the probes: 16 bits each of the generation, and of those that passed, failed and were slow.
    probed: AtomicU64,
    /// Calls that asked during a ramp.
    asked: AtomicU64,
}

impl Changes {
    pub(super) fn new() -> Self {
        let new = || AtomicU64::new(0);
        Self {
            since: new(),
            until: new(),
            opens: AtomicU32::new(0),
            probed: new(),
            asked: new(),
        }
    }

    /// Until the state ends by itself. It is over as well where the clock says that it has not begun, because it went back: else
    /// nobody would be admitted for as long as it went back. Who asks has read the control word, so it has begun.
    pub(super) fn left(&self, now: u64) -> Duration {
        let (since, until) = (&self.since, &self.until);
        match now < since.load(Ordering::Relaxed) {
            true => Duration::ZERO,
            false => Duration::from_nanos(until.load(Ordering::Relaxed).saturating_sub(now)),
        }
    }

    fn is_over(&self, now: u64) -> bool {
        self.left(now).is_zero()
    }
}

/// Results of probes of one generation.
#[derive(Clone, Copy)]
struct Probed {
    passed: u64,
    failed: u64,
    slow: u64,
}

impl Probed {
    const MOST: u64 = 0xFFFF;

    fn of(word: u64, generation: u64) -> Self {
        if word >> 48 != generation & Self::MOST {
            return Self {
                passed: 0,
                failed: 0,
                slow: 0,
            };
        }
        Self {
            passed: word & Self::MOST,
            failed: word >> 16 & Self::MOST,
            slow: word >> 32 & Self::MOST,
        }
    }

    fn word(self, generation: u64) -> u64 {
        (generation & Self::MOST) << 48 | self.slow << 32 | self.failed << 16 | self.passed
    }

    fn with(self, counts: Counts) -> Self {
        let sum = |a: u64, b: u64| (a + b).min(Self::MOST);
        Self {
            passed: sum(self.passed, counts.passed),
            failed: sum(self.failed, counts.failed),
            slow: sum(self.slow, counts.slow),
        }
    }
}

impl Breaker {
    pub(super) fn admission(&self, items: u32) -> Result<Ticket<'_>, Refused> {
        let mut looks = 0;
        loop {
            let word = Word(self.word.load(Ordering::Acquire));
            let admitted = match word.mode() {
                Mode::Closed | Mode::ForcedClosed => Some((word, items)),
                Mode::Ramp => self.admit_of_many(word, items)?,
                Mode::Open => self.admit_first(word, items)?,
                Mode::HalfOpen => self.admit_probe(word, items)?,
                Mode::ForcedOpen => return Err(refused(State::ForcedOpen, Duration::MAX)),
                Mode::Changing if looks < LOOKS => None,
                Mode::Changing => return Err(refused(State::Open, Duration::ZERO)),
            };
            if let Some((word, items)) = admitted {
                let since = if self.is_timed() { self.clock.ns() } else { 0 };
                return Ok(Ticket::new(self, word, items, since));
            }
            looks += 1;
            spin_loop();
        }
    }

    /// Just closed: a part of the calls, or all if the ramp is over.
    fn admit_of_many(&self, word: Word, items: u32) -> Result<Option<(Word, u32)>, Refused> {
        let (now, until) = (self.clock.ns(), self.changes.until.load(Ordering::Relaxed));
        let since = self.changes.since.load(Ordering::Relaxed);
        if now >= until || now < since {
            let closed = Word::new(Mode::Closed, word.generation());
            // If it fails another one has done it, or the state has changed.
            let _ = self.exchange(word, closed);
            return Ok(None);
        }
        let share = (now - since) * (100 - RAMP_FROM) / until.saturating_sub(since).max(1);
        let share = share + RAMP_FROM;
        let asked = self.changes.asked.fetch_add(1, Ordering::Relaxed);
        // Evenly spread: the share of those that have asked has been admitted.
        match (asked + 1) * share / 100 > asked * share / 100 {
            true => Ok(Some((word, items))),
            false => Err(refused(State::Closed, Duration::ZERO)),
        }
    }

    /// Open: nothing, or when the time is over the first probe.
    fn admit_first(&self, word: Word, items: u32) -> Result<Option<(Word, u32)>, Refused> {
        let now = self.clock.ns();
        let left = self.changes.left(now);
        if !left.is_zero() {
            return Err(refused(State::Open, left));
        }
        let items = items.min(self.rules.probes());
        let half_open = |generation| Word::half_open(generation, self.rules.probes()).admit(items);
        let changed = self.change(word, now, Reason::Waited, Counts::default(), half_open);
        if changed.is_some() {
            self.totals
                .probes
                .fetch_add(items.into(), Ordering::Relaxed);
        }
        Ok(changed.map(|word| (word, items)))
    }

    /// Half open: a probe, if there is a permit.
    fn admit_probe(&self, word: Word, items: u32) -> Result<Option<(Word, u32)>, Refused> {
        let now = self.clock.ns();
        if self.changes.is_over(now) {
            self.open(word, now, Reason::ProbesLate, Counts::default());
            return Ok(None);
        }
        let items = items.min(word.probes_left());
        if items == 0 || word.in_flight() >= self.rules.probe_concurrency() {
            return Err(refused(State::HalfOpen, Duration::ZERO));
        }
        let admitted = word.admit(items);
        if !self.exchange(word, admitted) {
            return Ok(None);
        }
        self.totals
            .probes
            .fetch_add(items.into(), Ordering::Relaxed);
        Ok(Some((admitted, items)))
    }

    /// What came of an admission.
    pub(super) fn settle(&self, made: Word, counts: Counts) {
        self.settle_rows(made, counts, Rows::of(counts));
    }

    /// As [`Self::settle`], of calls of which it is known which of them failed.
    pub(super) fn settle_rows(&self, made: Word, counts: Counts, rows: Rows) {
        match made.mode() {
            Mode::HalfOpen => self.settle_probe(made, counts),
            _ => self.result(made, counts, rows),
        }
    }

    fn settle_probe(&self, made: Word, counts: Counts) {
        let word = Word(self.word.load(Ordering::Acquire));
        if word.generation() != made.generation() {
            return self.late(counts.total());
        }
        self.add_totals(counts);
        let probed = self.add_probed(made.generation(), counts);
        let rules = &self.rules;
        let probes = u64::from(rules.probes());
        let too_many = |bad: u64, percent: u64| bad > 0 && bad * 100 >= percent * probes;
        let now = self.clock.ns();
        let sum = Counts {
            passed: probed.passed,
            failed: probed.failed,
            slow: probed.slow,
        };
        let slow = self.is_timed() && too_many(probed.slow, rules.slow_pct());
        if too_many(probed.failed, rules.failure_pct()) || slow {
            return self.leave(made, |word| {
                self.open(word, now, Reason::ProbesFailed, sum);
            });
        }
        if probed.passed + probed.failed >= probes {
            return self.leave(made, |word| self.close(word, now, sum));
        }
        self.resolve(made);
    }

    /// Adds to the probes of a generation; not to those of another, which may have begun meanwhile.
    fn add_probed(&self, generation: u64, counts: Counts) -> Probed {
        let mut now = self.changes.probed.load(Ordering::Acquire);
        loop {
            let sum = Probed::of(now, generation).with(counts);
            // The generation that was written last is this one or a later one: its author wrote it before it was
            // admitted to.
            if now >> 48 != generation & Probed::MOST {
                return sum;
            }
            match self.changes.probed.compare_exchange_weak(
                now,
                sum.word(generation),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return sum,
                Err(other) => now = other,
            }
        }
    }

    /// One admission of a generation is done.
    fn resolve(&self, made: Word) {
        loop {
            let word = Word(self.word.load(Ordering::Acquire));
            let same = word.generation() == made.generation() && word.mode() == Mode::HalfOpen;
            if !same || self.exchange(word, word.resolve()) {
                return;
            }
        }
    }

    /// Ends the half-open state of a generation, unless another one does.
    fn leave(&self, made: Word, change: impl Fn(Word)) {
        loop {
            let word = Word(self.word.load(Ordering::Acquire));
            if word.generation() != made.generation() || word.mode() != Mode::HalfOpen {
                return;
            }
            // It fails if another probe was admitted or done at the same time.
            change(word);
        }
    }

    /// Opens.
    pub(super) fn open(&self, word: Word, now: u64, reason: Reason, sum: Counts) {
        self.change(word, now, reason, sum, |generation| {
            Word::new(Mode::Open, generation)
        });
    }

    /// Closes after probes.
    fn close(&self, word: Word, now: u64, sum: Counts) {
        let mode = if self.rules.ramp() > 0 {
            Mode::Ramp
        } else {
            Mode::Closed
        };
        let closed = |generation| Word::new(mode, generation);
        self.change(word, now, Reason::ProbesPassed, sum, closed);
    }

    /// Does what somebody said.
    pub(super) fn force(&self, mode: Mode) {
        loop {
            let word = Word(self.word.load(Ordering::Acquire));
            let now = self.clock.ns();
            if word.mode() == Mode::Changing {
                spin_loop();
                continue;
            }
            let forced = |generation| Word::new(mode, generation);
            if word.mode() == mode && mode != Mode::Closed
                || self
                    .change(word, now, Reason::Forced, Counts::default(), forced)
                    .is_some()
            {
                return;
            }
        }
    }

    /// Changes the state from `word` to what `to` says of the next generation; `None` if another one was faster.
    fn change(
        &self,
        word: Word,
        now: u64,
        reason: Reason,
        sum: Counts,
        to: impl FnOnce(u64) -> Word,
    ) -> Option<Word> {
        if !self.exchange(word, word.changing()) {
            return None;
        }
        let next = to(word.next());
        self.prepare(word, next, now, reason);
        // Release: passes on what was written.
        self.word.store(next.0, Ordering::Release);
        let event = Event {
            at: Duration::from_nanos(now),
            from: State::of(word.mode()),
            to: State::of(next.mode()),
            reason,
            generation: next.generation(),
            passed: 0,
            failed: 0,
            slow: 0,
        };
        self.tell(event.with(sum));
        Some(next)
    }

    /// Writes what belongs to the next state. Relaxed, all of it: nobody else writes, and the word orders it.
    fn prepare(&self, from: Word, next: Word, now: u64, reason: Reason) {
        let Changes {
            since,
            until,
            opens,
            probed,
            asked,
        } = &self.changes;
        let closed_for = now.saturating_sub(since.load(Ordering::Relaxed));
        let was_closed = matches!(from.mode(), Mode::Closed | Mode::Ramp);
        if reason == Reason::Forced || was_closed && closed_for >= self.rules.closed_stable() {
            opens.store(0, Ordering::Relaxed);
        }
        let lasts = match next.mode() {
            Mode::Open => {
                let before = opens.load(Ordering::Relaxed);
                opens.store(before.saturating_add(1), Ordering::Relaxed);
                self.rules.open_time(before, next.generation())
            }
            Mode::HalfOpen => self.rules.half_open_max(),
            Mode::Ramp => self.rules.ramp(),
            _ => 0,
        };
        since.store(now, Ordering::Relaxed);
        until.store(now.saturating_add(lasts), Ordering::Relaxed);
        let none = Probed::of(0, 1);
        probed.store(none.word(next.generation()), Ordering::Relaxed);
        asked.store(0, Ordering::Relaxed);
        self.streak.store(0, Ordering::Relaxed);
        if let Some(adaptive) = &self.adaptive {
            adaptive.spoil();
        }
    }

    /// Takes other numbers over: the same state begins anew.
    pub(super) fn renew(&self, numbers: &BreakerBuilder) {
        loop {
            let word = Word(self.word.load(Ordering::Acquire));
            if word.mode() != Mode::Changing && self.exchange(word, word.changing()) {
                return self.renew_from(word, numbers);
            }
            spin_loop();
        }
    }

    /// Only the author of a change is here. Relaxed, all of it: the word orders it.
    fn renew_from(&self, word: Word, numbers: &BreakerBuilder) {
        let (now, generation) = (self.clock.ns(), word.next());
        self.rules.set(numbers);
        if let Some(adaptive) = &self.adaptive {
            self.rules
                .set_threshold(adaptive.threshold(&self.rules.limits()));
        }
        self.ring.renew();
        let Changes {
            since,
            until,
            opens,
            probed,
            asked,
        } = &self.changes;
        let began = since.load(Ordering::Relaxed);
        let ends = match word.mode() {
            Mode::Open => {
                let before = opens.load(Ordering::Relaxed).saturating_sub(1);
                let open = self.rules.open_time(before, generation);
                until
                    .load(Ordering::Relaxed)
                    .min(began.saturating_add(open))
            }
            Mode::HalfOpen => now.saturating_add(self.rules.half_open_max()),
            Mode::Ramp => began.saturating_add(self.rules.ramp()),
            _ => until.load(Ordering::Relaxed),
        };
        until.store(ends, Ordering::Relaxed);
        let none = Probed::of(0, 1);
        probed.store(none.word(generation), Ordering::Relaxed);
        asked.store(0, Ordering::Relaxed);
        self.streak.store(0, Ordering::Relaxed);
        let next = match word.mode() {
            Mode::HalfOpen => Word::half_open(generation, self.rules.probes()),
            mode => Word::new(mode, generation),
        };
        // Release: passes on what was written.
        self.word.store(next.0, Ordering::Release);
        let state = State::of(next.mode());
        self.tell(Event {
            at: Duration::from_nanos(now),
            from: state,
            to: state,
            reason: Reason::Retuned,
            generation,
            passed: 0,
            failed: 0,
            slow: 0,
        });
    }

    fn exchange(&self, from: Word, to: Word) -> bool {
        // AcqRel: whoever changes what belongs to a state has seen what its author wrote, and passes on its own.
        let exchanged =
            self.word
                .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed);
        exchanged.is_ok()
    }
}

/// A number that looks random (SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn refused(state: State, retry_after: Duration) -> Refused {
    Refused { state, retry_after }
}

impl Class {
    /// Does an error of this class say that whom was called is not well?
    pub(super) fn is_failure(self) -> bool {
        !matches!(self, Self::Item)
    }
}
