//! The numbers of guards: what the topology says, changed by tuning files.

use std::{collections::BTreeMap, time::Duration};

use pipewright_spec::{
    guards,
    info::{FieldValue, GuardInfo, RateInfo},
    options::{Group, Key},
    units,
};

use super::retry::RetrySettings;
use crate::{
    breaker::{BreakerBuilder, BreakerConfigError, Clock, Slow, Window},
    classify::ErrorClass,
};

/// What guards a stage.
#[derive(Clone, Debug)]
pub(crate) struct GuardSettings {
    /// The most workers at once.
    pub(crate) workers: Option<u32>,
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
    numbers: BreakerBuilder,
    /// How long it stays open for the first time, in nanoseconds.
    open: u64,
    /// Does the threshold of slow calls follow them?
    follows: bool,
    factor_x100: u32,
    floor: Option<u64>,
    ceil: Option<u64>,
    warmup_items: u32,
    pub(crate) on_open: OnOpen,
    pub(crate) counts: Classes,
    /// What was given, as it is written.
    given: BTreeMap<&'static str, String>,
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
    /// They are given back to their source; while the breaker tries, they wait.
    Nack,
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

    pub(crate) fn bits(self) -> u32 {
        self.0.into()
    }

    /// Of [`Self::bits`].
    pub(crate) fn of_bits(bits: u32) -> Self {
        Self(bits as u8)
    }

    pub(crate) fn has(self, class: ErrorClass) -> bool {
        self.0 & Self::bit(class) != 0
    }

    pub(crate) fn has_panics(self) -> bool {
        self.0 & Self::PANIC != 0
    }
}

/// The fields of a breaker, as changes of them are told.
const BREAKER: [&str; 23] = [
    "breaker.window",
    "breaker.min_items",
    "breaker.failure_pct",
    "breaker.consecutive",
    "breaker.slow",
    "breaker.slow_factor_x100",
    "breaker.slow_floor",
    "breaker.slow_ceil",
    "breaker.slow_warmup_items",
    "breaker.slow_pct",
    "breaker.open",
    "breaker.open_backoff_x100",
    "breaker.open_max",
    "breaker.open_jitter_pct",
    "breaker.probes",
    "breaker.probe_concurrency",
    "breaker.half_open_max",
    "breaker.ramp",
    "breaker.closed_stable",
    "breaker.on_open",
    "breaker.fallback",
    "breaker.hold",
    "breaker.counts",
];

/// `open` of `breaker.open`.
fn field(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, field)| field)
}

/// A value as it is written.
fn shown(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Count(count) => count.to_string(),
        FieldValue::Time(ns) => units::Duration::from_ns(ns).to_string(),
        FieldValue::Word(word) => word.to_owned(),
        FieldValue::Words(words) => format!("[{}]", words.join(", ")),
    }
}

/// A rate in words that do not depend on how it was written.
fn rate_text(rate: &RateInfo) -> String {
    let per = units::Duration::from_ns(rate.per_ns);
    format!("{} in {per}", rate.items)
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
            workers: info.workers,
            timeout: info.timeout_ns,
            rate: info.rate,
            breaker,
            retry: info.retry.map(RetrySettings::of),
            clock: Clock::new(),
        }
    }

    /// Is it seen how long calls run?
    pub(crate) fn watches_calls(&self) -> bool {
        self.timeout.is_some() || self.times_slices()
    }

    /// Is it seen how long each slice of calls runs?
    pub(crate) fn times_slices(&self) -> bool {
        let timed = self.breaker.as_ref().is_some_and(BreakerSettings::is_timed);
        self.timeout.is_none() && timed
    }

    /// Is there a breaker that goes by how long calls take?
    pub(crate) fn goes_by_time(&self) -> bool {
        let timed = |breaker: &BreakerSettings| breaker.is_timed() || self.timeout.is_some();
        self.breaker.as_ref().is_some_and(timed)
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

    /// Its numbers by their keys, as they are written; those that were not given have no text.
    pub(crate) fn listed(&self) -> Vec<(Key, &'static str, Option<String>)> {
        let mut all = vec![
            (
                Key::Workers,
                "workers",
                self.workers.map(|most| most.to_string()),
            ),
            (
                Key::Timeout,
                "timeout",
                self.timeout
                    .map(|ns| units::Duration::from_ns(ns).to_string()),
            ),
            (Key::Rate, "rate", self.rate.map(|rate| rate_text(&rate))),
        ];
        if let Some(retry) = &self.retry {
            all.extend(
                retry
                    .listed()
                    .map(|(name, text)| (Key::Retry, name, Some(text))),
            );
        }
        if let Some(breaker) = &self.breaker {
            all.extend(
                BREAKER
                    .iter()
                    .map(|name| (Key::Breaker, *name, breaker.given.get(name).cloned())),
            );
        }
        all
    }

    /// Why a run cannot change from these numbers to others, with the key.
    pub(crate) fn misfit(&self, next: &Self) -> Option<(Key, String)> {
        if let Err(wrong) = next.check() {
            return Some((Key::Breaker, wrong.to_string()));
        }
        let kind = |settings: &Self| {
            let breaker = settings.breaker.as_ref();
            breaker.map(|breaker| (breaker.follows, breaker.given.contains_key("breaker.slow")))
        };
        (kind(self) != kind(next)).then(|| {
            let what =
                "whether the calls of a stage are timed, and by what, is fixed when a run starts";
            (Key::Breaker, what.to_owned())
        })
    }

    /// The first number that is out of its range, or does not fit another.
    pub(crate) fn check(&self) -> Result<(), BreakerConfigError> {
        self.breaker
            .as_ref()
            .map_or(Ok(()), |breaker| breaker.numbers().check())
    }
}

impl BreakerSettings {
    fn new() -> Self {
        Self {
            numbers: BreakerBuilder::default(),
            open: guards::OPEN_NS,
            follows: false,
            factor_x100: guards::SLOW_FACTOR_X100,
            floor: None,
            ceil: None,
            warmup_items: guards::SLOW_WARMUP,
            on_open: OnOpen::Hold(None),
            counts: Classes::all(),
            given: BTreeMap::new(),
        }
    }

    /// The longest that items wait, in nanoseconds; `u64::MAX` for no limit.
    pub(crate) fn hold(&self) -> u64 {
        match self.on_open {
            OnOpen::Hold(Some(limit)) => limit,
            _ => u64::MAX,
        }
    }

    /// Are calls timed?
    fn is_timed(&self) -> bool {
        self.given.contains_key("breaker.slow")
    }

    /// Its numbers, with the threshold of slow calls that follows from all of them.
    pub(crate) fn numbers(&self) -> BreakerBuilder {
        let numbers = self.numbers.clone();
        if !self.follows {
            return numbers;
        }
        let ceil = guards::slow_ceil(self.ceil, self.open);
        numbers.slow(Slow::Adaptive {
            factor_x100: self.factor_x100,
            floor: Duration::from_nanos(self.floor.unwrap_or(guards::SLOW_FLOOR_NS.min(ceil))),
            ceil: Duration::from_nanos(ceil),
            warmup_items: self.warmup_items,
        })
    }

    /// Takes a field of `breaker(..)` over.
    pub(crate) fn set(&mut self, name: &str, value: FieldValue<'_>) {
        if let Some(name) = BREAKER.iter().find(|known| field(known) == name) {
            self.given.insert(name, shown(value));
        }
        match value {
            FieldValue::Count(count) => {
                self.set_count(name, u32::try_from(count).unwrap_or(u32::MAX))
            }
            FieldValue::Time(ns) => self.set_time(name, ns),
            FieldValue::Word(_) if name == "slow" => self.follows = true,
            FieldValue::Word(_) if name == "fallback" => self.on_open = OnOpen::Fallback,
            FieldValue::Word(word) => {
                self.on_open = match (word, self.on_open) {
                    ("divert", _) => OnOpen::Divert,
                    ("fallback", _) => OnOpen::Fallback,
                    ("dead_letter", _) => OnOpen::DeadLetter,
                    ("drop", _) => OnOpen::Drop,
                    ("nack", _) => OnOpen::Nack,
                    // Its limit may have been read before.
                    (_, hold) => hold,
                };
            }
            FieldValue::Words(words) => self.counts = Classes::of(words),
        }
    }

    fn set_count(&mut self, name: &str, count: u32) {
        match name {
            "slow_factor_x100" => self.factor_x100 = count,
            "slow_warmup_items" => self.warmup_items = count,
            _ => {}
        }
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
        match name {
            "slow_floor" => self.floor = Some(ns),
            "slow_ceil" => self.ceil = Some(ns),
            "slow" => self.follows = false,
            "open" => self.open = ns,
            _ => {}
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
