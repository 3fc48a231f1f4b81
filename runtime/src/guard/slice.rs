//! Slices of a batch: the loop over one, and how the failures in it lie.

use std::cell::Cell;

use super::guarding::{Guarding, Pause};
use crate::{
    batch::Due,
    breaker::Rows,
    carrier::Carrier,
    drive::{ALL, HANDED, Next, Progress, Segment, flush, pump},
    simd::{self, Copies, OneByOne, Vector},
};

/// Runs the items of a guarded stage through `step`; `Some` if some of them have to wait.
pub fn drive_guarded<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, T, &mut C::Tally),
) -> Option<Pause> {
    one_by_one::<BLIND, T, C>(guard, load, cx, step)
}

/// As [`drive_guarded`], with each item's position in its batch.
pub fn drive_guarded_tagged<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) -> Option<Pause> {
    one_by_one_tagged::<BLIND, T, C>(guard, load, cx, step)
}

/// As [`drive_guarded`], for a stage with `prefetch` (see [`Guarding::looking_ahead`]).
pub fn drive_guarded_ahead<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, T, &mut C::Tally),
) -> Option<Pause> {
    one_by_one::<AHEAD, T, C>(guard, load, cx, step)
}

/// As [`drive_guarded_ahead`], with each item's position in its batch.
pub fn drive_guarded_tagged_ahead<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) -> Option<Pause> {
    one_by_one_tagged::<AHEAD, T, C>(guard, load, cx, step)
}

/// As [`drive_guarded`], for a stage that takes many items: each slice is a batch.
pub fn drive_guarded_batch<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, T, &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, false);
    guard.work(load, |load, left| {
        let slice = Slice::<T, UNTAGGED, BLIND>::new(guard, load, left);
        let next = through(guard, slice.untagged(), cx, &step);
        flush(guard.w, cx, Due::All);
        next
    })
}

/// As [`drive_guarded_batch`], with each item's position in its batch.
pub fn drive_guarded_tagged_batch<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, true);
    guard.work(load, |load, left| {
        let slice = Slice::<T, TAGGED, BLIND>::new(guard, load, left);
        let next = through(guard, slice, cx, &step);
        flush(guard.w, cx, Due::All);
        next
    })
}

/// As [`drive_guarded`], or [`drive_guarded_ahead`] where `LOOKS` says so, for a stage with `simd`: each slice is a loop at the best
/// vector level, in blocks where the stage takes some.
pub fn drive_guarded_vector<const ENTRY: usize, const LOOKS: bool, T: 'static, C, K>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    _: K,
) -> Option<Pause>
where
    C: Vector<ENTRY, In = T>,
    K: Copies<T>,
{
    guard.begin(load, false);
    guard.work(load, |load, left| {
        let link = load.link();
        let slice = Slice::<T, UNTAGGED, LOOKS>::new(guard, load, left);
        let feed = OneByOne(slice.untagged());
        simd::through::<ENTRY, _, C, K>(guard.w, feed, link, cx);
        Next::GoOn
    })
}

/// As [`drive_guarded_vector`], with each item's position in its batch.
pub fn drive_guarded_tagged_vector<const ENTRY: usize, const LOOKS: bool, T: 'static, C, K>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    _: K,
) -> Option<Pause>
where
    C: Vector<ENTRY, In = (u32, T)>,
    K: Copies<(u32, T)>,
{
    guard.begin(load, true);
    guard.work(load, |load, left| {
        let link = load.link();
        let feed = OneByOne(Slice::<T, TAGGED, LOOKS>::new(guard, load, left));
        simd::through::<ENTRY, _, C, K>(guard.w, feed, link, cx);
        Next::GoOn
    })
}

fn one_by_one<const LOOKS: bool, T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, T, &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, false);
    guard.work(load, |load, left| {
        let slice = Slice::<T, UNTAGGED, LOOKS>::new(guard, load, left);
        through(guard, slice.untagged(), cx, &step)
    })
}

fn one_by_one_tagged<const LOOKS: bool, T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, true);
    guard.work(load, |load, left| {
        let slice = Slice::<T, TAGGED, LOOKS>::new(guard, load, left);
        through(guard, slice, cx, &step)
    })
}

fn through<T: 'static, I: Iterator, C: Segment>(
    guard: &Guarding<'_, T>,
    items: I,
    cx: &mut C,
    step: &impl Fn(&mut C, I::Item, &mut C::Tally),
) -> Next {
    let mut progress = Progress::default();
    pump::<ALL, I, C>(
        guard.w,
        &mut Some(items),
        u64::MAX,
        HANDED,
        cx,
        step,
        &mut progress,
    )
}

/// The failures of a slice. Items are counted from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    /// The item that failed last.
    last: u32,
    /// Failures in a row, up to that one.
    row: u32,
    /// Those that began with the first item, and the most.
    first: u32,
    most: u32,
}

impl Failures {
    /// And item number `at`.
    pub(crate) fn with(self, at: u32) -> Self {
        let row = if at == self.last + 1 { self.row + 1 } else { 1 };
        Self {
            count: self.count + 1,
            last: at,
            row,
            first: if row == at { row } else { self.first },
            most: self.most.max(row),
        }
    }

    /// Is it known that item number `at` failed, or one behind it?
    pub(crate) fn knows(self, at: u32) -> bool {
        self.last >= at
    }

    /// How they lie among `made` items.
    pub(crate) fn rows(self, made: u32) -> Rows {
        Rows {
            first: self.first,
            last: if self.last == made { self.row } else { 0 },
            most: self.most,
            all: self.first == made,
        }
    }
}

/// A slice has the positions of its items.
const TAGGED: bool = true;
/// It has none.
const UNTAGGED: bool = false;
/// The memory that its items lead to is asked for ahead.
const AHEAD: bool = true;
/// It is not.
const BLIND: bool = false;

/// The first items of a stack; what is not taken stays there.
struct Slice<'c, T: 'static, const HOW: bool, const LOOKS: bool> {
    guard: &'c Guarding<'c, T>,
    tags: &'c mut Vec<u32>,
    items: &'c mut Vec<T>,
    left: u32,
    told: &'c Cell<u32>,
    stops: &'c Cell<bool>,
    /// What sees how long calls take, where they may not take long.
    laps: Option<&'c dyn Laps>,
}

/// Sees how long calls take.
pub(super) trait Laps {
    /// A call has ended, and another one begins.
    fn lap(&self);
}

impl<'c, T: 'static, const HOW: bool, const LOOKS: bool> Slice<'c, T, HOW, LOOKS> {
    fn new(guard: &'c Guarding<'c, T>, load: &'c mut Carrier<T>, left: usize) -> Self {
        guard.slice(left);
        let (tags, items) = load.parts();
        Self {
            guard,
            tags,
            items,
            left: left as u32,
            told: &guard.left,
            stops: &guard.stops,
            laps: guard.laps(),
        }
    }
}

impl<T: 'static, const LOOKS: bool> Slice<'_, T, UNTAGGED, LOOKS> {
    fn untagged(self) -> impl Iterator<Item = T> {
        self.map(|(_, item)| item)
    }
}

impl<T: 'static, const HOW: bool, const LOOKS: bool> Iterator for Slice<'_, T, HOW, LOOKS> {
    type Item = (u32, T);

    #[inline(always)]
    fn next(&mut self) -> Option<(u32, T)> {
        if let Some(laps) = self.laps {
            laps.lap();
        }
        if self.stops.get() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        if LOOKS {
            self.guard.look_ahead(self.items);
        }
        let item = self.items.pop()?;
        self.told.set(self.left);
        let tag = match HOW {
            TAGGED => self.tags.pop().unwrap_or_default(),
            UNTAGGED => 0,
        };
        Some((tag, item))
    }

    /// As many as there may be: the slice may end earlier.
    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.left as usize;
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_found_at_the_beginning_at_the_end_and_in_between() {
        let check = |failed: &[u32], made: u32, expect: (u32, u32, u32, bool)| {
            let all = failed
                .iter()
                .fold(Failures::default(), |all, at| all.with(*at));
            let Rows {
                first,
                last,
                most,
                all,
            } = all.rows(made);
            assert_eq!((first, last, most, all), expect, "{failed:?} of {made}");
        };
        check(&[], 5, (0, 0, 0, false));
        check(&[1, 2, 3], 3, (3, 3, 3, true));
        check(&[1, 2, 4, 5, 6, 8], 9, (2, 0, 3, false));
        check(&[2, 3, 5], 5, (0, 1, 2, false));
        check(&[5], 5, (0, 1, 1, false));
    }
}
