//! The numbers of guards: what the topology says, changed by tuning files.

use std::time::Duration;

use pipewright_spec::{
    info::{FieldValue, GuardInfo, RateInfo},
    options::Group,
};

use super::retry::RetrySettings;
use crate::{
    breaker::{BreakerBuilder, BreakerConfigError, Clock, Slow, Window},
    classify::ErrorClass,
};

/// What guards a stage.
#[derive(Clone, Debug)]
pub(crate) struct GuardSettings {
    /// The longest that a call may take, in nanoseconds.
    pub(crate) timeout: Option<u64>,
    pub(crate) rate: Option<RateInfo>,
    pub(crate) breaker: Option<BreakerSettings>,
    pub(crate) retry: Option<RetrySettings>,
    /// The clock of all that guards it.
    pub(crate) clock: Clock,
}

/// A breaker's numbers, and what follows when it is open.
#[derive(Clone, Debug)]
pub(crate) struct BreakerSettings {
    pub(crate) numbers: BreakerBuilder,
    pub(crate) on_open: OnOpen,
    pub(crate) counts: Classes,
}

/// What happens to items while a breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnOpen {
    /// They wait; where a limit is given, in nanoseconds, those that waited for so long fail.
    Hold(Option<u64>),
    /// They leave as they are, by a door of their own.
    Divert,
    /// Another function takes the place of the stage.
    Fallback,
    /// They fail.
    DeadLetter,
    /// They are dropped and counted.
    Drop,
}

/// A set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    const PANIC: u8 = 1 << 7;

    fn bit(class: ErrorClass) -> u8 {
        match class {
            ErrorClass::Item => 0,
            ErrorClass::Dependency => 1,
            ErrorClass::Overload => 2,
            ErrorClass::Timeout => 4,
            ErrorClass::Fatal => 8,
        }
    }

    /// Those that a breaker counts if nothing else is said.
    fn all() -> Self {
        Self(!0)
    }

    fn of(words: &[&str]) -> Self {
        let bit = |word: &&str| match *word {
            "dependency" => Self::bit(ErrorClass::Dependency),
            "overload" => Self::bit(ErrorClass::Overload),
            "timeout" => Self::bit(ErrorClass::Timeout),
            "panic" => Self::PANIC,
            _ => 0,
        };
        // What ends the run is a failure whatever else is.
        Self(
            words
                .iter()
                .map(bit)
                .fold(Self::bit(ErrorClass::Fatal), |all, bit| all | bit),
        )
    }

    pub(crate) fn has(self, class: ErrorClass) -> bool {
        self.0 & Self::bit(class) != 0
    }

    pub(crate) fn has_panics(self) -> bool {
        self.0 & Self::PANIC != 0
    }
}

impl GuardSettings {
    pub(crate) fn of(info: &GuardInfo) -> Self {
        let breaker = info.breaker.map(|fields| {
            let mut breaker = BreakerSettings::new();
            for field in fields {
                breaker.set(field.name, field.value);
            }
            breaker
        });
        Self {
            timeout: info.timeout_ns,
            rate: info.rate,
            breaker,
            retry: info.retry.map(RetrySettings::of),
            clock: Clock::new(),
        }
    }

    /// The same, by another clock.
    pub(crate) fn with_clock(mut self, clock: &Clock) -> Self {
        if let Some(breaker) = &mut self.breaker {
            breaker.numbers = std::mem::take(&mut breaker.numbers).clock(clock.clone());
        }
        self.clock = clock.clone();
        self
    }

    /// Takes over what a tuning file says of `retry`.
    pub(crate) fn tune_retry<P>(&mut self, group: &Group<P>) {
        let Some(retry) = &mut self.retry else {
            return;
        };
        for field in &group.fields {
            if let Some(value) = field.value.as_field() {
                retry.set(field.name, value);
            }
        }
    }

    /// Takes over what a tuning file says of `breaker`.
    pub(crate) fn tune_breaker<P>(&mut self, group: &Group<P>) {
        let Some(breaker) = &mut self.breaker else {
            return;
        };
        for field in &group.fields {
            if let Some(value) = field.value.as_field() {
                breaker.set(field.name, value);
            }
        }
    }

    /// The first number that is out of its range, or does not fit another.
    pub(crate) fn check(&self) -> Result<(), BreakerConfigError> {
        self.breaker
            .as_ref()
            .map_or(Ok(()), |breaker| breaker.numbers.check())
    }
}

impl BreakerSettings {
    fn new() -> Self {
        Self {
            numbers: BreakerBuilder::default(),
            on_open: OnOpen::Hold(None),
            counts: Classes::all(),
        }
    }

    /// Takes a field of `breaker(..)` over.
    pub(crate) fn set(&mut self, name: &str, value: FieldValue<'_>) {
        match value {
            FieldValue::Count(count) => {
                self.set_count(name, u32::try_from(count).unwrap_or(u32::MAX))
            }
            FieldValue::Time(ns) => self.set_time(name, ns),
            FieldValue::Word(_) if name == "fallback" => self.on_open = OnOpen::Fallback,
            FieldValue::Word(word) => {
                self.on_open = match (word, self.on_open) {
                    ("divert", _) => OnOpen::Divert,
                    ("fallback", _) => OnOpen::Fallback,
                    ("dead_letter", _) => OnOpen::DeadLetter,
                    ("drop", _) => OnOpen::Drop,
                    // Its limit may have been read before.
                    (_, hold) => hold,
                };
            }
            FieldValue::Words(words) => self.counts = Classes::of(words),
        }
    }

    fn set_count(&mut self, name: &str, count: u32) {
        let numbers = std::mem::take(&mut self.numbers);
        self.numbers = match name {
            "window" => numbers.window(Window::Count(count)),
            "min_items" => numbers.min_items(count),
            "failure_pct" => numbers.failure_pct(count),
            "consecutive" => numbers.consecutive(count),
            "slow_pct" => numbers.slow_pct(count),
            "open_backoff_x100" => numbers.open_backoff(f64::from(count) / 100.0),
            "open_jitter_pct" => numbers.open_jitter_pct(count),
            "probes" => numbers.probes(count),
            "probe_concurrency" => numbers.probe_concurrency(count),
            _ => numbers,
        };
    }

    fn set_time(&mut self, name: &str, ns: u64) {
        if name == "hold" {
            self.on_open = OnOpen::Hold(Some(ns));
            return;
        }
        let time = Duration::from_nanos(ns);
        let numbers = std::mem::take(&mut self.numbers);
        self.numbers = match name {
            "window" => numbers.window(Window::Time(time)),
            "slow" => numbers.slow(Slow::Fixed(time)),
            // Whoever gives a longer one than the longest by default need not give that, too.
            "open" => numbers.open(time).with_room(),
            "open_max" => numbers.open_max(time),
            "half_open_max" => numbers.half_open_max(time),
            "ramp" => numbers.ramp(time),
            "closed_stable" => numbers.closed_stable(time),
            _ => numbers,
        };
    }
}
