//! The input as a source: workers take what waits in it, a quantum at a time, without what is of no use any more and what is too
//! much.

use std::{fmt, mem, sync::Arc};

use super::Ingress;
use crate::{
    carrier::{Carrier, Home},
    deadlines::take_gone,
    diagnose::Crossing,
    drive::{HANDED, Segment},
    dropped::{Why, drop_for},
    graph::Site,
    intake::{Buffers, NEVER, Shares, Times},
    source::{Place, Pulled, SourceCtl, shed::Shed},
    token::Token,
    worker::Worker,
};

/// Work that is not divided among workers: 4 us.
const SHARED_NS: u64 = 4_000;

/// The input as a source.
pub struct IngressSource<T: 'static> {
    end: Token<End<T>>,
    home: Home<T>,
    place: Place,
}

struct End<T> {
    queue: Arc<Ingress<T>>,
    /// Items of one quantum, for the exclusive loop.
    taken: Vec<T>,
    /// Their times, where they are known of any.
    times: Vec<Times>,
    /// How long items wait, where that is of interest.
    shed: Option<Shed<T>>,
}

// SAFETY: the source of an input is made with a `Crossing<T>`, which exists for `T: Send` only.
unsafe impl<T> Send for End<T> {}

impl<T: 'static> IngressSource<T> {
    /// The input, as source number `source`.
    ///
    /// # Panics
    ///
    /// If the pipeline was started without its input: an error in generated code.
    pub fn new(site: &Site<'_, T>, source: usize, crossing: Crossing<T>) -> Self {
        let link = site.shared.source_link(source);
        let home = Home::new(
            site.shared,
            link,
            site.shared.credits.total() as usize,
            crossing,
        );
        let queue = site
            .input
            .expect("a pipeline that reads `input` is opened with one");
        let shed = queue.rules.shed.as_ref();
        Self {
            end: Token::new(End {
                queue: Arc::clone(queue),
                taken: Vec::new(),
                times: Vec::new(),
                shed: shed.map(|rule| Shed::new(rule.settings(), rule.key)),
            }),
            home,
            place: Place {
                source,
                stage: HANDED,
            },
        }
    }

    /// Takes a quantum of items and hands them to `run` in a carrier.
    pub fn pull<'w>(
        &self,
        w: &mut Worker<'w>,
        run: impl FnOnce(Carrier<T>, &mut Worker<'w>),
    ) -> Pulled {
        let fill = |w: &Worker<'_>, end: &mut End<T>, carrier: &mut Carrier<T>, limit| {
            let how = (self.place.ctl(w), Buffers::Kept);
            take(&end.queue, w, how, carrier.items(), &mut end.times, limit);
            if w.shared.deadlines.any() {
                let source = w.shared.source_link(self.place.source);
                let last = skip(end, w, source, carrier.items());
                w.shared.credits.set_until(carrier.ticket(), last);
            }
        };
        self.place
            .pull(w, &self.end, &self.home, fill, |_, _| {}, run)
    }

    /// Runs a quantum of items through the whole pipeline.
    pub fn solo<C: Segment>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        step: impl Fn(&mut C, T, &mut C::Tally),
    ) -> Pulled {
        self.solo_by(w, |place, w, items, begun| {
            place.all(w, items, begun, cx, step)
        })
    }

    /// Takes a quantum of items and lets `run` run them. It is also told when the pull began.
    pub(crate) fn solo_by<'w>(
        &mut self,
        w: &mut Worker<'w>,
        run: impl FnOnce(&Place, &mut Worker<'w>, std::vec::Drain<'_, T>, u64) -> Pulled,
    ) -> Pulled {
        let begun = w.now();
        let ctl = self.place.ctl(w);
        let end = self.end.get_mut();
        let mut taken = mem::take(&mut end.taken);
        let how = (ctl, Buffers::Exchanged);
        take(
            &end.queue,
            w,
            how,
            &mut taken,
            &mut end.times,
            ctl.limit(false),
        );
        if w.shared.deadlines.any() {
            let source = w.shared.source_link(self.place.source);
            skip(end, w, source, &mut taken);
        }
        end.taken = taken;
        run(&self.place, w, end.taken.drain(..), begun)
    }
}

/// Takes at most `limit` items of the lane that the worker serves.
fn take<T: 'static>(
    queue: &Ingress<T>,
    w: &Worker<'_>,
    (ctl, buffers): (&SourceCtl, Buffers),
    into: &mut Vec<T>,
    times: &mut Vec<Times>,
    limit: u64,
) {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    // Fewer items than this are not worth another worker's while.
    let least = usize::try_from(ctl.items_in(SHARED_NS)).unwrap_or(usize::MAX);
    let sharers = if w.shared.is_parallel() {
        w.shared.settings.workers
    } else {
        1
    };
    let taken = queue.take(
        w.lane(),
        most,
        Shares { sharers, least },
        buffers,
        into,
        times,
    );
    if taken == 0 && queue.intake.has_ended() {
        ctl.end();
    }
}

/// Drops of the items that were just taken what is of no use any more, and what is too much. Returns when all of the others
/// are of no use; their times are forgotten then.
#[cold]
fn skip<T: 'static>(end: &mut End<T>, w: &Worker<'_>, source: u16, items: &mut Vec<T>) -> u64 {
    let (now, lane) = (w.shared.now(), w.lane());
    let End {
        queue, times, shed, ..
    } = end;
    let mut last = times.iter();
    let late = |_: &mut T| last.next().is_some_and(|times| times.until <= now);
    let mut out: Vec<T> = items.extract_if(.., late).collect();
    let until = times.iter().map(|times| times.until).max();
    times.retain(|times| times.until > now);
    if let Some(gone) = queue.gone {
        out.extend(take_gone(times, items, gone));
    }
    drop_all(w, source, Why::Expired, out);
    if let (Some(shed), Some(rule)) = (shed, &queue.rules.shed) {
        shed.retune(rule.settings(), now);
        if items.is_empty() && !queue.intake.waits_in(lane) {
            shed.found_empty(lane);
        }
        let mut of = times.iter();
        let too_much = |item: &mut T| {
            let times = of.next();
            times.is_some_and(|times| shed.sheds(item, lane, *times, now))
        };
        let out = items.extract_if(.., too_much).collect();
        drop_all(w, source, Why::Shed, out);
    }
    times.clear();
    until.unwrap_or(NEVER)
}

fn drop_all<T>(w: &Worker<'_>, source: u16, why: Why, out: Vec<T>) {
    if !out.is_empty() {
        w.shared.lost(source, why, out.len() as u64);
        drop_for(why, out);
    }
}

impl<T> fmt::Debug for IngressSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngressSource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
