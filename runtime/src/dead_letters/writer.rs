//! The thread that writes letters, and the line that they wait in.
//!
//! Whoever brings a letter puts its frame into the line, under the lock that gives it its number. The writer takes whole lines, writes their
//! frames, and makes them durable when the first of them has waited for the group's time, or at once if somebody waits for
//! it. A frame is held, and counts against the bounds of the line, until it is durable: so after a failed fsync the writer
//! still has all of them to write again.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    time::Duration,
};

use super::{
    DeadLettersError, DeadLettersStats, Options, Record, Storage,
    frame::{HEAD, Piece, Pieces},
    log::Log,
};
use crate::sync::{Arc, Condvar, Instant, Mutex, MutexGuard};

/// A frame that is not durable yet.
pub(super) struct Held {
    number: u64,
    frame: Vec<u8>,
}

impl Held {
    /// The letter in it.
    pub(super) fn record(&self) -> Option<Record> {
        let segment = [&HEAD[..], &self.frame].concat();
        match Pieces::new(&segment).next()? {
            (_, Piece::Body(body)) => Record::of(body),
            _ => None,
        }
    }
}

/// What the writer shares with those who bring letters.
pub(super) struct Line {
    state: Mutex<State>,
    /// Something came for the writer.
    for_writer: Condvar,
    /// Something became durable, or failed.
    for_others: Condvar,
    waiting: usize,
    waiting_bytes: usize,
    give_up: Duration,
    first: u64,
}

struct State {
    /// Letters that the writer has not taken yet.
    incoming: Vec<Held>,
    /// Letters that are not durable yet, and their bytes.
    held: usize,
    held_bytes: usize,
    /// The number of the last letter that was taken, and of the last one that is durable.
    taken: u64,
    durable: u64,
    /// Somebody waits until this one is durable.
    wanted: u64,
    failing: Option<Failing>,
    is_ending: bool,
    failures: u64,
    abandoned: u64,
    is_reserved: bool,
}

#[derive(Clone)]
struct Failing {
    since: Instant,
    error: Arc<io::Error>,
}

impl Line {
    pub(super) fn new(options: &Options, last: u64, is_reserved: bool) -> Self {
        Self {
            state: Mutex::new(State {
                incoming: Vec::new(),
                held: 0,
                held_bytes: 0,
                taken: last,
                durable: last,
                wanted: last,
                failing: None,
                is_ending: false,
                failures: 0,
                abandoned: 0,
                is_reserved,
            }),
            for_writer: Condvar::new(),
            for_others: Condvar::new(),
            waiting: options.waiting,
            waiting_bytes: options.waiting_bytes,
            give_up: options.give_up,
            first: last,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts in the frame that `make` makes for the next number; waits for room for about `size` bytes.
    pub(super) fn push(
        &self,
        size: usize,
        make: impl FnOnce(u64) -> Result<Vec<u8>, DeadLettersError>,
    ) -> Result<(), DeadLettersError> {
        let has_room = |state: &State| {
            let fits = state.held < self.waiting && state.held_bytes + size <= self.waiting_bytes;
            state.held == 0 || fits
        };
        let mut state = self.wait_until(self.lock(), has_room)?;
        let number = state.taken + 1;
        let frame = make(number)?;
        state.taken = number;
        state.held += 1;
        state.held_bytes += frame.len();
        state.incoming.push(Held { number, frame });
        drop(state);
        self.for_writer.notify_one();
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), DeadLettersError> {
        let mut state = self.lock();
        let taken = state.taken;
        state.wanted = state.wanted.max(taken);
        self.for_writer.notify_one();
        self.wait_until(state, |state| state.durable >= taken)
            .map(drop)
    }

    /// Waits until the writer got that far, as long as there is hope: there is none when nothing was written for the time to give
    /// up and an attempt that began since this began has failed too, or when it does not answer at all.
    fn wait_until<'l>(
        &'l self,
        mut state: MutexGuard<'l, State>,
        is_so: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'l, State>, DeadLettersError> {
        let (begun, failures) = (Instant::now(), state.failures);
        while !is_so(&state) {
            let left = self.give_up.saturating_sub(begun.elapsed());
            let failing = state.failing.clone();
            let since = failing.as_ref().map_or(begun, |failing| failing.since);
            // The first failure may be that of an attempt that had begun before.
            let has_tried = state.failures >= failures + 2 && since.elapsed() >= self.give_up;
            if left.is_zero() || has_tried {
                let silent = || Arc::new(ErrorKind::TimedOut.into());
                return Err(DeadLettersError::NotWritten {
                    waiting: state.held,
                    time: since.elapsed().max(begun.elapsed()),
                    source: failing.map_or_else(silent, |failing| failing.error),
                });
            }
            state = self.wait(&self.for_others, state, Some(left));
        }
        Ok(state)
    }

    fn wait<'l>(
        &self,
        what: &Condvar,
        state: MutexGuard<'l, State>,
        most: Option<Duration>,
    ) -> MutexGuard<'l, State> {
        match most {
            Some(most) => {
                let woken = what.wait_timeout(state, most);
                woken.unwrap_or_else(std::sync::PoisonError::into_inner).0
            }
            None => what
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// The writer leaves, with whatever it has not written.
    pub(super) fn end(&self) {
        self.lock().is_ending = true;
        self.for_writer.notify_one();
    }

    pub(super) fn stats(&self) -> DeadLettersStats {
        let state = self.lock();
        DeadLettersStats {
            taken: state.taken - self.first,
            waiting: state.held,
            failures: state.failures,
            failing: state
                .failing
                .as_ref()
                .map(|failing| failing.since.elapsed()),
            abandoned: state.abandoned,
            is_reserved: state.is_reserved,
        }
    }
}

/// The thread's side.
pub(super) struct Writer<S: Storage> {
    log: Log<S>,
    line: Arc<Line>,
    /// Letters to be written.
    unwritten: VecDeque<Held>,
    /// Letters that were written and are not durable.
    written: VecDeque<Held>,
    /// When these are made durable.
    due: Option<Instant>,
    group: Duration,
    backoff: (Duration, Duration),
    /// How long to wait after the next failure.
    pause: Duration,
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(log: Log<S>, line: Arc<Line>, options: &Options) -> Self {
        Self {
            log,
            line,
            unwritten: VecDeque::new(),
            written: VecDeque::new(),
            due: None,
            group: options.group,
            backoff: options.backoff,
            pause: options.backoff.0,
        }
    }

    /// Writes until the line ends; returns what is not durable then.
    pub(super) fn run(mut self) -> Vec<Held> {
        while let Some(sync) = self.wait_for_work() {
            if let Err(error) = self.work(sync) {
                self.failed(error);
            }
        }
        let Self {
            written, unwritten, ..
        } = self;
        written.into_iter().chain(unwritten).collect()
    }

    /// Waits until there is something to do, and says whether to make it durable at once; `None` at the end.
    fn wait_for_work(&mut self) -> Option<bool> {
        let line = Arc::clone(&self.line);
        let mut state = line.lock();
        loop {
            self.unwritten.extend(state.incoming.drain(..));
            if state.is_ending {
                return None;
            }
            let is_wanted = state.wanted > state.durable;
            let left = self
                .due
                .map(|due| due.saturating_duration_since(Instant::now()));
            let is_due = is_wanted || left.is_some_and(|left| left.is_zero());
            if !self.unwritten.is_empty() || (is_due && !self.written.is_empty()) {
                return Some(is_due || state.failing.is_some());
            }
            state = line.wait(&line.for_writer, state, left);
        }
    }

    fn work(&mut self, sync: bool) -> io::Result<()> {
        while let Some(next) = self.unwritten.front().map(|held| held.frame.len()) {
            if self.log.turns(next as u64) && !self.written.is_empty() {
                self.sync()?;
            }
            self.put_next()?;
        }
        if sync || self.group.is_zero() {
            self.sync()
        } else {
            Ok(())
        }
    }

    fn put_next(&mut self) -> io::Result<()> {
        // It stays in front until it is written.
        if let Some(next) = self.unwritten.front() {
            self.log.put(&next.frame)?;
        }
        self.due.get_or_insert_with(|| Instant::now() + self.group);
        self.written.extend(self.unwritten.pop_front());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Err(error) = self.log.sync() {
            // The segment is left alone: what was not durable in it is written again.
            while let Some(last) = self.written.pop_back() {
                self.unwritten.push_front(last);
            }
            self.due = None;
            return Err(error);
        }
        let mut state = self.line.lock();
        for held in self.written.drain(..) {
            state.held -= 1;
            state.held_bytes -= held.frame.len();
            state.durable = held.number;
        }
        state.failing = None;
        state.is_reserved = self.log.is_reserved;
        drop(state);
        self.due = None;
        self.pause = self.backoff.0;
        self.line.for_others.notify_all();
        Ok(())
    }

    /// Notes a failure, and waits before the next attempt.
    fn failed(&mut self, error: io::Error) {
        let mut state = self.line.lock();
        state.failures += 1;
        state.abandoned = self.log.abandoned;
        let since = state
            .failing
            .take()
            .map_or_else(Instant::now, |failing| failing.since);
        state.failing = Some(Failing {
            since,
            error: Arc::new(error),
        });
        self.line.for_others.notify_all();
        let until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(self.backoff.1);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_ending {
                return;
            }
            state = self.line.wait(&self.line.for_writer, state, Some(left));
        }
    }
}
