//! What came of calls: how it gets into the window, and when that opens the breaker.

use super::{
    Breaker, Reason, Rows, Totals,
    cells::Cell,
    control::{Mode, Word},
    window::Counts,
};
use crate::sync::{AtomicU64, Ordering};

impl Breaker {
    /// A call of this thread passed that was made under `word`.
    #[inline]
    pub(super) fn passed(&self, cell: &Cell, word: u64) {
        // The call itself may have made others, and the cell may be of another word by now.
        if !cell.is_of(word) {
            return self.late(1);
        }
        if self.rules.consecutive() > 0 && self.streak.load(Ordering::Relaxed) > 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
        if !cell.pass() {
            self.fold(cell);
        }
    }

    /// Counts what this thread has not counted yet, and decides.
    #[cold]
    #[inline(never)]
    pub(super) fn fold(&self, cell: &Cell) {
        let now = self.clock.ns();
        let word = Word(self.word.load(Ordering::Acquire));
        self.fold_into(cell, word, now);
        self.judge(word, now, 0);
    }

    pub(super) fn fold_into(&self, cell: &Cell, word: Word, now: u64) {
        let period = if self.rules.by_count() {
            u64::MAX
        } else {
            self.rules.bucket.get() / 4
        };
        let admits_all = matches!(word.mode(), Mode::Closed | Mode::ForcedClosed);
        let of = admits_all.then_some(word.0);
        let recent = cell.passed_within(now, self.rules.window());
        let (passed, before) = cell.fold(of, now, period, self.rules.grant());
        if passed == 0 {
            return;
        }
        if before != word.0 {
            return self.late(passed);
        }
        let of = |passed| Counts {
            passed,
            ..Counts::default()
        };
        self.add_totals(of(passed));
        self.add_to_window(word, now, of(recent));
    }

    /// A call of this thread failed or was slow that was made under `word`.
    #[cold]
    #[inline(never)]
    pub(super) fn returned(&self, word: u64, passed: bool, slow: bool) {
        let counts = Counts {
            passed: passed.into(),
            failed: (!passed).into(),
            slow: slow.into(),
        };
        self.result(Word(word), counts, Rows::of(counts));
    }

    /// Results of calls that were made under a word that was not half open.
    pub(super) fn result(&self, made: Word, counts: Counts, rows: Rows) {
        let now = self.clock.ns();
        let word = Word(self.word.load(Ordering::Acquire));
        if word.generation() != made.generation() || word.mode() == Mode::Changing {
            return self.late(counts.total());
        }
        if let Some(cell) = self.cells.own().filter(|_| word.mode() != Mode::Ramp) {
            self.fold_into(cell, word, now);
        }
        self.add_totals(counts);
        self.add_to_window(word, now, counts);
        let in_a_row = if self.rules.consecutive() > 0 {
            self.in_a_row(rows)
        } else {
            0
        };
        self.judge(word, now, in_a_row);
    }

    /// The most failures in a row, with those of `rows`.
    pub(super) fn in_a_row(&self, rows: Rows) -> u32 {
        if rows.all {
            // It is reset long before it could wrap around: it opens the breaker.
            return self
                .streak
                .fetch_add(rows.first, Ordering::Relaxed)
                .saturating_add(rows.first);
        }
        let before = self.streak.load(Ordering::Relaxed);
        self.streak.store(rows.last, Ordering::Relaxed);
        before.saturating_add(rows.first).max(rows.most)
    }

    pub(super) fn add_to_window(&self, word: Word, now: u64, counts: Counts) {
        // Where calls are counted they count as the last of them does: more than the window holds would be behind it else.
        let tick = self.tick(now, |seen| {
            let calls = counts.total();
            (seen.fetch_add(calls, Ordering::Relaxed) + calls).saturating_sub(1)
        });
        self.ring.add(word.generation(), tick, counts);
    }

    /// The bucket of the window that counts now, by the clock or by the calls that were seen.
    pub(super) fn tick(&self, now: u64, seen: impl FnOnce(&AtomicU64) -> u64) -> u64 {
        let at = if self.rules.by_count() {
            seen(&self.seen)
        } else {
            now
        };
        at / self.rules.bucket.get()
    }

    pub(super) fn add_totals(&self, counts: Counts) {
        let Totals {
            passed,
            failed,
            slow,
            ..
        } = &self.totals;
        let all = [
            (passed, counts.passed),
            (failed, counts.failed),
            (slow, counts.slow),
        ];
        for (total, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn late(&self, items: u64) {
        self.totals.late.fetch_add(items, Ordering::Relaxed);
    }

    /// Opens, if the window or the failures in a row say so.
    pub(super) fn judge(&self, word: Word, now: u64, in_a_row: u32) {
        self.judge_with(word, now, in_a_row, 0);
    }

    /// As [`Self::judge`], with calls that have failed and are not counted yet.
    pub(super) fn judge_with(&self, word: Word, now: u64, in_a_row: u32, hanging: u64) {
        if !matches!(word.mode(), Mode::Closed | Mode::Ramp) {
            return;
        }
        let tick = self.tick(now, |seen| seen.load(Ordering::Relaxed).saturating_sub(1));
        let mut sum = self.ring.sum(word.generation(), tick);
        let overdue = self.overdue(word, now);
        sum.passed += overdue;
        sum.slow += overdue;
        sum.failed += hanging;
        let early = overdue + hanging > 0;
        let streak = self.rules.consecutive() > 0 && in_a_row >= self.rules.consecutive();
        // What threads have not told yet passed, so that it changes nothing unless something counts early.
        if !early && !streak && self.rules.verdict(sum).is_none() {
            return;
        }
        sum.passed += self.cells.pending(word.0, now, self.rules.window());
        let reason = match streak {
            true => Some(Reason::Consecutive),
            false => self.rules.verdict(sum),
        };
        if let Some(reason) = reason {
            self.open(word, now, reason, sum);
        }
    }

    /// Calls that are being made and have taken too long.
    pub(super) fn overdue(&self, word: Word, now: u64) -> u64 {
        self.flights.overdue(word.0, now, self.rules.slow())
    }
}
