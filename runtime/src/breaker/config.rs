//! What a breaker is told: its numbers, their ranges and defaults.

use std::{fmt, time::Duration};

use pipewright_spec::guards;

use super::{Breaker, Clock, control::MOST_PROBES};

/// What a breaker looks back on when it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The calls of the last so long. It does not wait for that time to pass: it decides as soon as there are
    /// [`min_items`](BreakerBuilder::min_items).
    Time(Duration),
    /// The last so many calls.
    Count(u32),
}

/// Which calls are slow. A call is slow if it takes longer than the threshold, strictly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// None: calls are not timed.
    #[default]
    Off,
    /// Those that take longer than this.
    Fixed(Duration),
    /// Those that take longer than a multiple of what calls usually take: a threshold that follows them. It moves by half of
    /// the difference in a minute, up by no more than a tenth a minute, and only while the breaker is closed and calls fare
    /// well. See [`adaptive`](Self::adaptive) for defaults.
    Adaptive {
        /// The threshold is so many hundredths of the median; 110 to 10,000.
        factor_x100: u32,
        /// It is never lower; 1 us to 1 h.
        floor: Duration,
        /// It is never higher, and just this until there were enough calls; `floor` to 1 h.
        ceil: Duration,
        /// Calls until it is trusted; up to 2^20.
        warmup_items: u32,
    },
}

impl Slow {
    /// Three times what calls usually take, between 50 us and 1 s, after 10,000 calls.
    pub const fn adaptive() -> Self {
        Self::Adaptive {
            factor_x100: guards::SLOW_FACTOR_X100,
            floor: Duration::from_nanos(guards::SLOW_FLOOR_NS),
            ceil: Duration::from_nanos(guards::SLOW_CEIL_NS),
            warmup_items: guards::SLOW_WARMUP,
        }
    }

    /// The longest threshold there can be.
    fn most(self) -> Duration {
        match self {
            Self::Off => Duration::ZERO,
            Self::Fixed(slow) => slow,
            Self::Adaptive { ceil, .. } => ceil,
        }
    }

    fn is_ok(self) -> bool {
        let range = MS / 1000..=HOUR;
        match self {
            Self::Off => true,
            Self::Fixed(slow) => range.contains(&slow),
            Self::Adaptive {
                factor_x100,
                floor,
                ceil,
                warmup_items,
            } => {
                (110..=10_000).contains(&factor_x100)
                    && range.contains(&floor)
                    && (floor..=HOUR).contains(&ceil)
                    && warmup_items <= MOST_ITEMS
            }
        }
    }
}

/// Builds a [`Breaker`].
///
/// | | default | range |
/// |---|---|---|
/// | `window` | the last 10 s | 100 ms to 1 h, or 10 to 2^20 calls |
/// | `min_items` | 100 | 1 to 2^20, at most the window |
/// | `failure_pct` | 50 % | 1 to 100 |
/// | `consecutive` | 0: off | |
/// | `slow` | off | 1 us to 1 h, or adaptive |
/// | `slow_pct` | 80 % | 1 to 100 |
/// | `watched_every` | 0: nobody looks | up to 1 min |
/// | `open` | 5 s | 10 ms to 10 min, at least twice the threshold of slow calls |
/// | `open_backoff` | 2.0 | 1.0 to 100.0 |
/// | `open_max` | 60 s | `open` to 1 h |
/// | `open_jitter_pct` | 10 % | 0 to 100 |
/// | `probes` | 10 | 1 to 4,095 |
/// | `probe_concurrency` | 1 | 1 to 511 |
/// | `half_open_max` | 10 s | 1 ms to 1 h |
/// | `ramp` | 1 s | 0 to 1 h |
/// | `closed_stable` | 30 s | 0 to 1 h |
#[derive(Clone, Debug)]
#[must_use]
pub struct BreakerBuilder {
    pub(super) window: Window,
    pub(super) min_items: u32,
    pub(super) failure_pct: u32,
    pub(super) consecutive: u32,
    pub(super) slow: Slow,
    pub(super) slow_pct: u32,
    pub(super) watched_every: Duration,
    pub(super) open: Duration,
    pub(super) open_backoff: f64,
    pub(super) open_max: Duration,
    pub(super) open_jitter_pct: u32,
    pub(super) probes: u32,
    pub(super) probe_concurrency: u32,
    pub(super) half_open_max: Duration,
    pub(super) ramp: Duration,
    pub(super) closed_stable: Duration,
    pub(super) seed: u64,
    pub(super) clock: Clock,
}

/// A number of a breaker is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` of a breaker is {given}; write {help}")]
#[non_exhaustive]
pub struct BreakerConfigError {
    /// Which number.
    pub field: &'static str,
    /// What was given.
    pub given: String,
    /// What can be given.
    pub help: &'static str,
}

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// The longest window in calls, and the most that `min_items` asks for.
const MOST_ITEMS: u32 = 1 << 20;

impl Default for BreakerBuilder {
    fn default() -> Self {
        Self {
            window: Window::Time(Duration::from_nanos(guards::WINDOW_NS)),
            min_items: guards::MIN_ITEMS,
            failure_pct: 50,
            consecutive: 0,
            slow: Slow::Off,
            slow_pct: 80,
            watched_every: Duration::ZERO,
            open: Duration::from_nanos(guards::OPEN_NS),
            open_backoff: 2.0,
            open_max: Duration::from_nanos(guards::OPEN_MAX_NS),
            open_jitter_pct: 10,
            probes: 10,
            probe_concurrency: 1,
            half_open_max: Duration::from_secs(10),
            ramp: Duration::from_secs(1),
            closed_stable: Duration::from_secs(30),
            seed: 0,
            clock: Clock::new(),
        }
    }
}

impl BreakerBuilder {
    /// What it looks back on.
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// The fewest calls in the window that it decides on.
    pub fn min_items(mut self, items: u32) -> Self {
        self.min_items = items;
        self
    }

    /// It opens when so many percent of the calls in the window failed, or more.
    pub fn failure_pct(mut self, percent: u32) -> Self {
        self.failure_pct = percent;
        self
    }

    /// It opens after so many failures in a row, whatever the window says; 0 switches that off.
    pub fn consecutive(mut self, failures: u32) -> Self {
        self.consecutive = failures;
        self
    }

    /// Which calls are slow.
    pub fn slow(mut self, slow: Slow) -> Self {
        self.slow = slow;
        self
    }

    /// It opens when so many percent of the calls in the window were slow, or more.
    pub fn slow_pct(mut self, percent: u32) -> Self {
        self.slow_pct = percent;
        self
    }

    /// How often somebody calls [`Breaker::look`]. If five of these intervals pass without a look, nobody had time to: the process, or its
    /// machine, was stopped, and calls that were being made then are not slow. Zero says that nobody looks.
    pub fn watched_every(mut self, interval: Duration) -> Self {
        self.watched_every = interval;
        self
    }

    /// How long it stays open for the first time.
    pub fn open(mut self, open: Duration) -> Self {
        self.open = open;
        self
    }

    /// How much longer it stays open each time that it opens again without having been closed for
    /// [`closed_stable`](Self::closed_stable); 1.0 is always the same.
    pub fn open_backoff(mut self, factor: f64) -> Self {
        self.open_backoff = factor;
        self
    }

    /// The longest that it stays open, before jitter.
    pub fn open_max(mut self, most: Duration) -> Self {
        self.open_max = most;
        self
    }

    /// How much of the time it stays open is random: it is up to so many percent shorter or longer.
    pub fn open_jitter_pct(mut self, percent: u32) -> Self {
        self.open_jitter_pct = percent;
        self
    }

    /// How many calls it tries, half open, before it closes.
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// How many of them at a time; of calls that are admitted together, one.
    pub fn probe_concurrency(mut self, at_once: u32) -> Self {
        self.probe_concurrency = at_once;
        self
    }

    /// It opens again when the probes have not decided after so long: results that never come block nothing.
    pub fn half_open_max(mut self, most: Duration) -> Self {
        self.half_open_max = most;
        self
    }

    /// After it closed it admits 10 % of the calls at first and all of them after so long.
    pub fn ramp(mut self, ramp: Duration) -> Self {
        self.ramp = ramp;
        self
    }

    /// When it was closed for so long, it opens for the shortest time again.
    pub fn closed_stable(mut self, stable: Duration) -> Self {
        self.closed_stable = stable;
        self
    }

    /// Where its random numbers begin.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The clock that it asks; for tests, one that stands still.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With an `open_max` that is no shorter than `open`.
    pub(crate) fn with_room(mut self) -> Self {
        self.open_max = self.open_max.max(self.open);
        self
    }

    /// The breaker, closed.
    ///
    /// # Errors
    ///
    /// If a number is out of its range.
    pub fn build(self) -> Result<Breaker, BreakerConfigError> {
        self.check()?;
        Ok(Breaker::of(&self))
    }

    pub(crate) fn check(&self) -> Result<(), BreakerConfigError> {
        match self.ranges().into_iter().find(|range| !range.ok) {
            None => Ok(()),
            Some(Range {
                field, given, help, ..
            }) => Err(BreakerConfigError {
                field,
                given: format!("{given:?}"),
                help,
            }),
        }
    }

    /// Every number, and whether it is in its range.
    #[rustfmt::skip] // A number is a line.
    fn ranges(&self) -> [Range<'_>; 15] {
        let (window_ok, most) = match self.window {
            Window::Time(time) => ((100 * MS..=HOUR).contains(&time), MOST_ITEMS),
            Window::Count(count) => ((10..=MOST_ITEMS).contains(&count), count),
        };
        let slow = self.slow.most();
        let percent = 1..=100;
        let open_ok = (10 * MS..=600_000 * MS).contains(&self.open) && self.open >= 2 * slow;
        [
            range("window", window_ok, &self.window, "100 ms to 1 h, or 10 to 1048576 calls"),
            range("min_items", (1..=most).contains(&self.min_items), &self.min_items, "1 to 1048576, and no more than a window of calls holds"),
            range("failure_pct", percent.contains(&self.failure_pct), &self.failure_pct, "1 to 100"),
            range("slow", self.slow.is_ok(), &self.slow, "1 us to 1 h; of an adaptive one, a factor of 110 to 10000, a floor of at least 1 us, and a ceiling between that and 1 h"),
            range("slow_pct", percent.contains(&self.slow_pct), &self.slow_pct, "1 to 100"),
            range("watched_every", self.watched_every <= HOUR / 60, &self.watched_every, "at most 1 min"),
            range("open", open_ok, &self.open, "10 ms to 10 min, and at least twice the threshold of slow calls, or every call is a probe"),
            range("open_backoff", (1.0..=100.0).contains(&self.open_backoff), &self.open_backoff, "1.0 to 100.0"),
            range("open_max", (self.open..=HOUR).contains(&self.open_max), &self.open_max, "at least `open`, and at most 1 h"),
            range("open_jitter_pct", self.open_jitter_pct <= 100, &self.open_jitter_pct, "0 to 100"),
            range("probes", (1..=MOST_PROBES).contains(&self.probes), &self.probes, "1 to 4095"),
            range("probe_concurrency", (1..=511).contains(&self.probe_concurrency), &self.probe_concurrency, "1 to 511"),
            range("half_open_max", (MS..=HOUR).contains(&self.half_open_max), &self.half_open_max, "1 ms to 1 h"),
            range("ramp", self.ramp <= HOUR, &self.ramp, "at most 1 h"),
            range("closed_stable", self.closed_stable <= HOUR, &self.closed_stable, "at most 1 h"),
        ]
    }
}

struct Range<'a> {
    field: &'static str,
    ok: bool,
    given: &'a dyn fmt::Debug,
    help: &'static str,
}

fn range<'a>(
    field: &'static str,
    ok: bool,
    given: &'a dyn fmt::Debug,
    help: &'static str,
) -> Range<'a> {
    Range {
        field,
        ok,
        given,
        help,
    }
}
