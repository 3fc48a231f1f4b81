//! The options of stages and pipelines: one table of keys, one check of values, typed results.

mod raw;
mod table;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use raw::{Group, GroupField, RawField, RawValue, Value};
pub use table::{
    Change, Field, Key, KeyInfo, PIPELINE_KEYS, REALTIME, STAGE_KEYS, ValueType, find,
    find_pipeline, info,
};
pub use value::validate;
pub use words::{Enforce, OnError, OnPanic, Order, Overflow, Priority, Smt, Wait};

use crate::cores::CoreSet;
use crate::model::{Door, Given, Place};
use crate::report::{Problem, Problems};
use crate::units::{Duration, Rate};

/// The options of a stage, source or sink; each is `None` where it was not given.
///
/// `from` and `run` are fields of [`crate::model::Stage`], not options.
#[derive(Clone, Debug)]
pub struct StageOptions<P> {
    /// How many workers run it at once.
    pub workers: Option<Given<u32, P>>,
    /// The cores of its own threads.
    pub cores: Option<Given<CoreSet, P>>,
    /// How its own threads wait.
    pub wait: Option<Given<Wait, P>>,
    /// The real-time priority of its own threads.
    pub realtime: Option<Given<u32, P>>,
    /// The most items at a time.
    pub batch: Option<Given<u32, P>>,
    /// How long a batch waits to be filled.
    pub linger: Option<Given<Duration, P>>,
    /// How long a batch may take.
    pub budget: Option<Given<Duration, P>>,
    /// How long a polled source rests.
    pub idle: Option<Given<Duration, P>>,
    /// How many items wait in front of it.
    pub queue: Option<Given<u32, P>>,
    /// What happens when its queue is full.
    pub overflow: Option<Given<Overflow, P>>,
    /// When it drops what waits.
    pub shed: Option<Given<Group<P>, P>>,
    /// Its lane.
    pub priority: Option<Given<Priority, P>>,
    /// Whether it sees source order.
    pub order: Option<Given<Order, P>>,
    /// What happens to an unread error.
    pub on_error: Option<Given<OnError, P>>,
    /// What happens when it panics.
    pub on_panic: Option<Given<OnPanic, P>>,
    /// How many futures run at once.
    pub in_flight: Option<Given<u32, P>>,
    /// How long an item may take.
    pub timeout: Option<Given<Duration, P>>,
    /// The most items in a time.
    pub rate: Option<Given<Rate, P>>,
    /// How it tries again.
    pub retry: Option<Given<Group<P>, P>>,
    /// When it stops trying.
    pub breaker: Option<Given<Group<P>, P>>,
    /// How far ahead it asks for memory; `None` inside is an address function.
    pub prefetch: Option<Given<Option<u32>, P>>,
    /// The vector levels that it is compiled for.
    pub simd: Option<Given<Vec<&'static str>, P>>,
    /// The keys whose value only Rust understands.
    pub rust: RustKeys<P>,
}

/// Where the keys that are written in Rust only stand.
#[derive(Clone, Debug)]
pub struct RustKeys<P> {
    /// `key = path`.
    pub key: Option<P>,
    /// `state = path`.
    pub state: Option<P>,
    /// `per_worker`.
    pub per_worker: Option<P>,
    /// `acks`.
    pub acks: Option<P>,
    /// `env = Type`, on a stage outside of a pipeline.
    pub env: Option<P>,
}

impl<P> Default for RustKeys<P> {
    fn default() -> Self {
        Self {
            key: None,
            state: None,
            per_worker: None,
            acks: None,
            env: None,
        }
    }
}

impl<P> Default for StageOptions<P> {
    fn default() -> Self {
        Self {
            workers: None,
            cores: None,
            wait: None,
            realtime: None,
            batch: None,
            linger: None,
            budget: None,
            idle: None,
            queue: None,
            overflow: None,
            shed: None,
            priority: None,
            order: None,
            on_error: None,
            on_panic: None,
            in_flight: None,
            timeout: None,
            rate: None,
            retry: None,
            breaker: None,
            prefetch: None,
            simd: None,
            rust: RustKeys::default(),
        }
    }
}

impl<P: Place> StageOptions<P> {
    /// Checks a written value and stores it.
    ///
    /// Refuses a key that is there already, a value of another type, a number out of its bounds, a
    /// word that is none of those allowed, and an unknown or doubled field of a group. `from` and
    /// `run` are not options, so they are refused too.
    pub fn set(
        &mut self,
        key: &KeyInfo,
        value: RawValue<P>,
        key_place: P,
        place: P,
    ) -> Result<(), Problems<P>> {
        if let Some(first) = self.given(key.key) {
            return Err(Problem::twice(key.name, key_place, first.clone()).into());
        }
        let value = validate(key.name, key.value, value, &place)?;
        self.store(key.key, value, key_place, place);
        Ok(())
    }

    fn store(&mut self, key: Key, value: Value<P>, at: P, place: P) {
        match (key, value) {
            (Key::Workers, Value::Count(n)) => self.workers = given(to_u32(n), at, place),
            (Key::Batch, Value::Count(n)) => self.batch = given(to_u32(n), at, place),
            (Key::Queue, Value::Count(n)) => self.queue = given(to_u32(n), at, place),
            (Key::Realtime, Value::Count(n)) => self.realtime = given(to_u32(n), at, place),
            (Key::InFlight, Value::Count(n)) => self.in_flight = given(to_u32(n), at, place),
            (Key::Prefetch, Value::Count(n)) => self.prefetch = given(Some(to_u32(n)), at, place),
            (Key::Prefetch, Value::Code) => self.prefetch = given(None, at, place),
            (Key::Cores, Value::Cores(cores)) => self.cores = given(cores, at, place),
            (Key::Linger, Value::Time(time)) => self.linger = given(time, at, place),
            (Key::Budget, Value::Time(time)) => self.budget = given(time, at, place),
            (Key::Idle, Value::Time(time)) => self.idle = given(time, at, place),
            (Key::Timeout, Value::Time(time)) => self.timeout = given(time, at, place),
            (Key::Rate, Value::Rate(rate)) => self.rate = given(rate, at, place),
            (Key::Shed, Value::Group(group)) => self.shed = given(group, at, place),
            (Key::Retry, Value::Group(group)) => self.retry = given(group, at, place),
            (Key::Breaker, Value::Group(group)) => self.breaker = given(group, at, place),
            (Key::Simd, Value::Words(words)) => self.simd = given(words, at, place),
            (key, Value::Word(word)) => self.store_word(key, word, at, place),
            (Key::Key, _) => self.rust.key = Some(at),
            (Key::State, _) => self.rust.state = Some(at),
            (Key::PerWorker, _) => self.rust.per_worker = Some(at),
            (Key::Acks, _) => self.rust.acks = Some(at),
            // `validate` gives each key the type of its line, and a test sets every line.
            _ => {}
        }
    }

    fn store_word(&mut self, key: Key, word: &str, at: P, place: P) {
        match key {
            Key::Wait => self.wait = word_given(Wait::from_name(word), at, place),
            Key::Overflow => self.overflow = word_given(Overflow::from_name(word), at, place),
            Key::Priority => self.priority = word_given(Priority::from_name(word), at, place),
            Key::Order => self.order = word_given(Order::from_name(word), at, place),
            Key::OnError => self.on_error = word_given(OnError::from_name(word), at, place),
            Key::OnPanic => self.on_panic = word_given(OnPanic::from_name(word), at, place),
            _ => {}
        }
    }
}

fn given<T, P>(value: T, key: P, place: P) -> Option<Given<T, P>> {
    Some(Given { value, key, place })
}

fn word_given<T, P>(value: Option<T>, key: P, place: P) -> Option<Given<T, P>> {
    value.map(|value| Given { value, key, place })
}

/// The bounds of the table are below 2^32.
fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The place of the key, whatever the type of its value is.
fn key_of<T, P>(given: &Option<Given<T, P>>) -> Option<&P> {
    given.as_ref().map(|given| &given.key)
}

impl<P> StageOptions<P> {
    /// Where a key is given, if it is.
    pub fn given(&self, key: Key) -> Option<&P> {
        match key {
            Key::Workers => key_of(&self.workers),
            Key::Cores => key_of(&self.cores),
            Key::Wait => key_of(&self.wait),
            Key::Realtime => key_of(&self.realtime),
            Key::Batch => key_of(&self.batch),
            Key::Linger => key_of(&self.linger),
            Key::Budget => key_of(&self.budget),
            Key::Idle => key_of(&self.idle),
            Key::Queue => key_of(&self.queue),
            Key::Overflow => key_of(&self.overflow),
            Key::Shed => key_of(&self.shed),
            Key::Priority => key_of(&self.priority),
            Key::Order => key_of(&self.order),
            Key::OnError => key_of(&self.on_error),
            Key::OnPanic => key_of(&self.on_panic),
            Key::InFlight => key_of(&self.in_flight),
            Key::Timeout => key_of(&self.timeout),
            Key::Rate => key_of(&self.rate),
            Key::Retry => key_of(&self.retry),
            Key::Breaker => key_of(&self.breaker),
            Key::Prefetch => key_of(&self.prefetch),
            Key::Simd => key_of(&self.simd),
            Key::Key => self.rust.key.as_ref(),
            Key::State => self.rust.state.as_ref(),
            Key::PerWorker => self.rust.per_worker.as_ref(),
            Key::Acks => self.rust.acks.as_ref(),
            Key::Env => self.rust.env.as_ref(),
            _ => None,
        }
    }

    /// The keys that are given, in the order of the table.
    pub fn all_given(&self) -> impl Iterator<Item = (&'static KeyInfo, &P)> {
        STAGE_KEYS
            .iter()
            .filter_map(|info| self.given(info.key).map(|place| (info, place)))
    }

    /// The same options at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> StageOptions<Q> {
        StageOptions {
            workers: self.workers.map(|given| given.map_place(f)),
            cores: self.cores.map(|given| given.map_place(f)),
            wait: self.wait.map(|given| given.map_place(f)),
            realtime: self.realtime.map(|given| given.map_place(f)),
            batch: self.batch.map(|given| given.map_place(f)),
            linger: self.linger.map(|given| given.map_place(f)),
            budget: self.budget.map(|given| given.map_place(f)),
            idle: self.idle.map(|given| given.map_place(f)),
            queue: self.queue.map(|given| given.map_place(f)),
            overflow: self.overflow.map(|given| given.map_place(f)),
            priority: self.priority.map(|given| given.map_place(f)),
            order: self.order.map(|given| given.map_place(f)),
            on_error: self.on_error.map(|given| given.map_place(f)),
            on_panic: self.on_panic.map(|given| given.map_place(f)),
            in_flight: self.in_flight.map(|given| given.map_place(f)),
            timeout: self.timeout.map(|given| given.map_place(f)),
            rate: self.rate.map(|given| given.map_place(f)),
            shed: self.shed.map(|given| map_group(given, f)),
            retry: self.retry.map(|given| map_group(given, f)),
            breaker: self.breaker.map(|given| map_group(given, f)),
            prefetch: self.prefetch.map(|given| given.map_place(f)),
            simd: self.simd.map(|given| given.map_place(f)),
            rust: RustKeys {
                key: self.rust.key.map(&mut *f),
                state: self.rust.state.map(&mut *f),
                per_worker: self.rust.per_worker.map(&mut *f),
                acks: self.rust.acks.map(&mut *f),
                env: self.rust.env.map(&mut *f),
            },
        }
    }
}

fn map_group<P, Q>(given: Given<Group<P>, P>, f: &mut impl FnMut(P) -> Q) -> Given<Group<Q>, Q> {
    Given {
        value: given.value.map_place(f),
        key: f(given.key),
        place: f(given.place),
    }
}

mod pipeline;
pub use pipeline::{Hw, PipelineOptions, Pool};
