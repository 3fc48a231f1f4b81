//! The one table of every key: its name, where it goes, its value, its default, and what it is for.
//!
//! The attribute parser, the RON readers, the tuning reader, the documentation and "did you mean" all
//! use it.

use std::ops::RangeInclusive;

use super::words::{Enforce, OnError, OnPanic, Order, Overflow, Priority, Smt, Wait};
use crate::model::Kind;

/// Every key of a stage or a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is described by its line of the table")]
pub enum Key {
    From,
    Run,
    Key,
    PerWorker,
    State,
    Acks,
    Order,
    OnError,
    OnPanic,
    Priority,
    Workers,
    Cores,
    Wait,
    Realtime,
    Batch,
    Linger,
    Budget,
    Idle,
    Queue,
    Overflow,
    Shed,
    InFlight,
    Timeout,
    Rate,
    Retry,
    Breaker,
    Prefetch,
    Simd,
    Env,
    Reply,
    Pool,
    Quantum,
    Memory,
    Hw,
}

/// When the value of a key can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Never: it is part of the shape, which is fixed at compile time.
    Shape,
    /// At run time, by a tuning file.
    Tuning,
    /// Whether it is there is shape, its numbers are tuning.
    Presence,
}

/// The kind of value that a key takes, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueType {
    /// One output or a list of outputs, `from = [a, b::Err]`.
    Doors,
    /// A stage.
    Stage,
    /// The name of a function; in RON only.
    Function,
    /// A path or a closure; in Rust only.
    Code,
    /// Nothing: the key alone says it; in Rust only.
    Flag,
    /// A whole number, perhaps written `"64Ki"`.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A time like `"150us"`.
    Time {
        /// The shortest, in nanoseconds.
        min: u64,
        /// The longest, in nanoseconds.
        max: u64,
    },
    /// Either a time or one of a few words.
    TimeOrWord {
        /// The shortest, in nanoseconds.
        min: u64,
        /// The longest, in nanoseconds.
        max: u64,
        /// The words.
        words: &'static [&'static str],
    },
    /// Either a time or a number of items.
    TimeOrCount {
        /// The longest, in nanoseconds.
        max_ns: u64,
        /// The most.
        max: u64,
    },
    /// A size like `"64Mi"`.
    Size {
        /// The most, in bytes.
        max: u64,
    },
    /// A rate like `"10k/s"`.
    Rate,
    /// A core list like `"4-7,12"`.
    Cores,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A list of such words.
    Words(&'static [&'static str]),
    /// A distance, or code that computes an address.
    CountOrCode {
        /// The longest distance.
        max: u64,
    },
    /// `true` or `false`.
    Bool,
    /// Fields in parentheses.
    Group(&'static [Field]),
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyInfo {
    /// Which key it is.
    pub key: Key,
    /// How it is written.
    pub name: &'static str,
    /// What it goes on; empty for a key of the pipeline.
    pub on: &'static [Kind],
    /// What it takes.
    pub value: ValueType,
    /// What it is when it is not given, for the documentation.
    pub default: &'static str,
    /// When it can change.
    pub change: Change,
    /// Is it written in Rust only?
    pub rust_only: bool,
    /// Can it change while a run goes on? Otherwise a tuning file gives it at start.
    pub live: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl KeyInfo {
    /// Does it go on this kind of stage?
    pub fn applies_to(&self, kind: Kind) -> bool {
        self.on.contains(&kind)
    }

    /// Can a tuning file give it?
    pub fn is_tunable(&self) -> bool {
        self.change != Change::Shape
    }
}

/// A field of a group such as `retry(max = 3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// How it is written.
    pub name: &'static str,
    /// What it takes.
    pub value: ValueType,
    /// What it is for.
    pub doc: &'static str,
}

/// The key of a stage, source or sink with this name.
pub fn find(name: &str) -> Option<&'static KeyInfo> {
    STAGE_KEYS.iter().find(|info| info.name == name)
}

/// The key of a pipeline with this name.
pub fn find_pipeline(name: &str) -> Option<&'static KeyInfo> {
    PIPELINE_KEYS.iter().find(|info| info.name == name)
}

/// The line of a key.
pub fn info(key: Key) -> &'static KeyInfo {
    let all = STAGE_KEYS.iter().chain(PIPELINE_KEYS);
    all.into_iter()
        .find(|info| info.key == key)
        .expect("each key has its line in the table")
}

const ALL: &[Kind] = &[Kind::Source, Kind::Stage, Kind::Sink];
const READERS: &[Kind] = &[Kind::Stage, Kind::Sink];
const STAGE: &[Kind] = &[Kind::Stage];
const SOURCE: &[Kind] = &[Kind::Source];

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const SEC: u64 = 1_000 * MS;
const HOUR: u64 = 3_600 * SEC;

/// The real-time priorities that a thread can ask for. Interrupt threads of the kernel have 50; nothing of a user comes
/// before them.
pub const REALTIME: RangeInclusive<u8> = 1..=49;

const MILLION: u64 = 1 << 20;
/// The most futures of a stage at once: their places are made when the run starts.
const IN_FLIGHT: u64 = 1 << 16;

const fn count(max: u64) -> ValueType {
    ValueType::Count { min: 1, max }
}

const fn time(max: u64) -> ValueType {
    ValueType::Time { min: 1, max }
}

/// A key that this version has, given in both languages.
const fn key(
    key: Key,
    name: &'static str,
    on: &'static [Kind],
    value: ValueType,
    default: &'static str,
    change: Change,
    doc: &'static str,
) -> KeyInfo {
    KeyInfo {
        key,
        name,
        on,
        value,
        default,
        change,
        rust_only: false,
        live: false,
        doc,
    }
}

/// A key that is written in Rust only.
const fn rust(info: KeyInfo) -> KeyInfo {
    KeyInfo {
        rust_only: true,
        ..info
    }
}

/// A key that can change while a run goes on.
const fn live(info: KeyInfo) -> KeyInfo {
    KeyInfo { live: true, ..info }
}

/// The keys of stages, sources and sinks, in the order of the documentation.
#[rustfmt::skip]
pub const STAGE_KEYS: &[KeyInfo] = &[
    key(Key::From, "from", READERS, ValueType::Doors, "required", Change::Shape, "What it reads: a stage, a list of stages, `stage::Variant`, `stage::Err` or `input`."),
    key(Key::Run, "run", ALL, ValueType::Function, "its name", Change::Shape, "The function that it runs, in RON only: a second stage over one function."),
    rust(key(Key::Key, "key", READERS, ValueType::Code, "none", Change::Shape, "A path or closure from the item to its key: one `&mut S` for each key.")),
    rust(key(Key::PerWorker, "per_worker", READERS, ValueType::Flag, "off", Change::Shape, "One `&mut S` for each worker.")),
    rust(key(Key::State, "state", ALL, ValueType::Code, "`Default`", Change::Shape, "The function that makes the `&mut S`.")),
    rust(key(Key::Acks, "acks", SOURCE, ValueType::Flag, "off", Change::Shape, "Its `&mut S` is told up to where everything is done (`Acknowledge`), so that it can begin there again after a crash.")),
    key(Key::Order, "order", READERS, ValueType::Word(Order::NAMES), "keep", Change::Shape, "Whether it sees its items in source order."),
    key(Key::OnError, "on_error", ALL, ValueType::Word(OnError::NAMES), "must be handled", Change::Shape, "What happens to an `Err` that no stage reads."),
    live(key(Key::OnPanic, "on_panic", ALL, ValueType::Word(OnPanic::NAMES), "isolate, or stop with shared state", Change::Tuning, "What happens when it panics: the item is lost and counted (`isolate`), leaves by `::Err`, of a batch stage all of the batch (`dead_letter`, which is part of the shape and makes a state anew), the run stops, or the state is made anew or kept.")),
    live(key(Key::Priority, "priority", ALL, ValueType::Word(Priority::NAMES), "normal", Change::Tuning, "Its lane: who is served first.")),
    live(key(Key::Workers, "workers", READERS, count(1024), "pool size", Change::Presence, "The most workers, or pinned threads, that run it at once (a bulkhead), so that it does not take all of them; batches for which there is none wait.")),
    key(Key::Cores, "cores", ALL, ValueType::Cores, "shared pool", Change::Presence, "The cores that its own pinned threads run on, one thread for each."),
    live(key(Key::Wait, "wait", ALL, ValueType::Word(Wait::NAMES), "adaptive; park with `realtime`", Change::Tuning, "How its pinned threads wait.")),
    key(Key::Realtime, "realtime", ALL, PRIORITY, "off", Change::Tuning, "The real-time priority (`SCHED_FIFO`, 1 to 49) of its pinned threads, which sleep whenever they have nothing to do."),
    live(key(Key::Batch, "batch", ALL, count(MILLION), "sized by the runtime", Change::Tuning, "The most items that it takes or makes at a time.")),
    live(key(Key::Linger, "linger", READERS, time(HOUR), "\"150us\"", Change::Tuning, "How long a batch waits to be filled.")),
    live(key(Key::Budget, "budget", READERS, time(HOUR), "\"800us\"", Change::Tuning, "How long a batch may take from its first item until its stage has returned. Batches that take longer are counted and told.")),
    live(key(Key::Idle, "idle", SOURCE, time(HOUR), "\"50us\"", Change::Tuning, "How long a polled source rests when it has nothing.")),
    live(key(Key::Queue, "queue", READERS, count(16 * MILLION), "\"4Ki\"; \"1Ki\" between pinned threads", Change::Tuning, "How many items wait in front of it.")),
    key(Key::Overflow, "overflow", READERS, ValueType::Word(Overflow::NAMES), "block", Change::Shape, "What happens when its queue is full: who sends waits, or gets the item back; or an item is dropped and counted, the new one, the oldest, or one of the lowest lane. Between pinned threads `block` and `drop_newest`."),
    live(key(Key::Shed, "shed", READERS, ValueType::Group(SHED), "off", Change::Presence, "Items of a lane that keep waiting in the `input` for too long are dropped and counted, the lowest lane first and all of a key together, until the others wait no longer.")),
    live(key(Key::InFlight, "in_flight", READERS, count(IN_FLIGHT), "64", Change::Tuning, "How many futures of an `async fn` are under way at once, in the whole run.")),
    live(key(Key::Timeout, "timeout", READERS, time(HOUR), "none", Change::Presence, "How long a call may take. A future that takes longer is cancelled, and its item leaves by `::Err`. Other calls cannot be cancelled: one that takes longer is counted, and is a failure for the breaker while it runs, and another worker stands in for the one that waits for it, but not for a pinned thread.")),
    live(key(Key::Rate, "rate", READERS, ValueType::Rate, "none", Change::Presence, "The most items that it takes in a time, such as `\"10k/s\"`; the others wait. As many as come in 10 ms may come at once.")),
    live(key(Key::Retry, "retry", READERS, ValueType::Group(RETRY), "none", Change::Presence, "How it tries an item again that failed, if its error says that whom is called failed, is busy or took too long.")),
    live(key(Key::Breaker, "breaker", READERS, ValueType::Group(BREAKER), "none", Change::Presence, "When it stops trying for a while, and what happens to its items meanwhile.")),
    key(Key::Prefetch, "prefetch", STAGE, ValueType::CountOrCode { max: 1024 }, "off", Change::Shape, "The memory that its items lead to is asked for ahead: a function that finds it, or, where items are handles, how many items ahead."),
    key(Key::Simd, "simd", READERS, ValueType::Words(TARGETS), "off", Change::Shape, "The vector levels that its loop is compiled for."),
];

/// The keys of a pipeline as a whole.
#[rustfmt::skip]
pub const PIPELINE_KEYS: &[KeyInfo] = &[
    rust(key(Key::Env, "env", &[], ValueType::Code, "()", Change::Shape, "The type of the shared read-only context.")),
    key(Key::Reply, "reply", &[], ValueType::Stage, "none", Change::Shape, "The stage whose output answers `call`; with it, the pipeline takes requests."),
    key(Key::Pool, "pool", &[], ValueType::Group(POOL), "a worker for each core", Change::Tuning, "The workers that run the pipeline."),
    live(key(Key::Quantum, "quantum", &[], ValueType::Time { min: US, max: SEC }, "sized by the runtime", Change::Tuning, "How long a worker runs before it looks for more urgent work.")),
    live(key(Key::Memory, "memory", &[], ValueType::Size { max: 1 << 50 }, "no limit", Change::Tuning, "The most memory that the buffers between stages may take: sources wait while it is reached.")),
    key(Key::Hw, "hw", &[], ValueType::Group(HW), "`enforce = warn`", Change::Tuning, "What happens where the machine does not give what is asked for, such as a core for each pinned stage: nothing is said, a warning, or the run does not start."),
];

const fn field(name: &'static str, value: ValueType, doc: &'static str) -> Field {
    Field { name, value, doc }
}

/// A real-time priority.
const PRIORITY: ValueType = ValueType::Count {
    min: *REALTIME.start() as u64,
    max: *REALTIME.end() as u64,
};
/// A percentage from 1 to 100.
const SHARE: ValueType = ValueType::Count { min: 1, max: 100 };
/// A percentage from 0 to 100.
const PART: ValueType = ValueType::Count { min: 0, max: 100 };

#[rustfmt::skip]
const POOL: &[Field] = &[
    field("workers", count(1024), "How many workers there are."),
    field("cores", ValueType::Cores, "The cores that they run on, each on its own."),
    field("smt", ValueType::Word(Smt::NAMES), "Whether they share physical cores: `auto` shares them when all have a worker."),
    field("numa", ValueType::Count { min: 0, max: 1023 }, "The memory node that they run on."),
];

#[rustfmt::skip]
const SHED: &[Field] = &[
    field("target", time(HOUR), "How long items may wait; `\"5ms\"`."),
    field("interval", time(HOUR), "For how long they must have waited longer, all of them, before anything is dropped; `\"100ms\"`."),
];

#[rustfmt::skip]
const RETRY: &[Field] = &[
    field("max", count(1000), "How many times it tries an item again; 3. In all it tries no more than a tenth of its items again, and ten a second."),
    field("backoff", time(HOUR), "The longest that it waits before the second try; `\"10ms\"`. It doubles with each try."),
    field("max_backoff", time(HOUR), "The longest that it ever waits; `\"1s\"`."),
    field("jitter_pct", PART, "How much of the wait is random, in percent; 100: between nothing and all of it."),
];

#[rustfmt::skip]
const BREAKER: &[Field] = &[
    field("window", ValueType::TimeOrCount { max_ns: HOUR, max: MILLION }, "The time, or the number of items, that it looks back; `\"10s\"` by default. It decides as soon as there are `min_items`."),
    field("min_items", count(MILLION), "The fewest items that it decides on; 100."),
    field("failure_pct", SHARE, "It opens when so many percent of them fail; 50."),
    field("consecutive", ValueType::Count { min: 0, max: MILLION }, "It opens after so many failures in a row; 0, the default, is off."),
    field("slow", ValueType::TimeOrWord { min: US, max: HOUR, words: &["adaptive"] }, "A call is slow when it takes longer, or with `adaptive` much longer than usual; of the calls of a slice of up to 64 items, the average counts. Without it, calls are not timed."),
    field("slow_factor_x100", ValueType::Count { min: 110, max: 10_000 }, "With `slow = adaptive`: how much longer, in hundredths of the median; 300."),
    field("slow_floor", ValueType::Time { min: US, max: HOUR }, "With `slow = adaptive`: a call is never slow that takes no longer; `\"50us\"`."),
    field("slow_ceil", ValueType::Time { min: US, max: HOUR }, "With `slow = adaptive`: a call is always slow that takes longer, and only such a call until it is known how long they take; `\"1s\"`, or half of `open` if that is less."),
    field("slow_warmup_items", ValueType::Count { min: 0, max: MILLION }, "With `slow = adaptive`: the calls until it is known how long they take; 10000."),
    field("slow_pct", SHARE, "It opens when so many percent of the calls are slow; 80."),
    field("open", ValueType::Time { min: 10 * MS, max: 600 * SEC }, "How long it stays open for the first time; `\"5s\"`."),
    field("open_backoff_x100", ValueType::Count { min: 100, max: 10_000 }, "How that grows each time, in hundredths; 200."),
    field("open_max", ValueType::Time { min: 10 * MS, max: HOUR }, "The longest that it stays open; `\"60s\"`."),
    field("open_jitter_pct", PART, "How much of that is random, in percent; 10."),
    field("probes", count(4095), "How many items it tries before it closes; 10."),
    field("probe_concurrency", count(511), "How many batches try at a time; 1."),
    field("half_open_max", ValueType::Time { min: MS, max: HOUR }, "It opens again when they take longer; `\"10s\"`."),
    field("ramp", ValueType::Time { min: 0, max: HOUR }, "How long it takes to full speed after it closed; `\"1s\"`."),
    field("closed_stable", ValueType::Time { min: 0, max: HOUR }, "How long it must stay closed to open for the shortest time again; `\"30s\"`."),
    field("on_open", ValueType::Word(&["hold", "divert", "fallback", "dead_letter", "nack", "drop"]), "What happens to items while it is open: they wait (the default), leave as they are by `::Diverted`, go into the function of `fallback`, leave by `::Err`, go back to their source, which gives them again, or are dropped and counted."),
    field("fallback", ValueType::Function, "The function that takes the place of the stage while it is open, for `on_open = fallback`: `fn(T) -> U` or `fn(T, &Env) -> U`."),
    field("hold", time(HOUR), "The longest that items wait while it is open; then they leave by `::Err`. Without it they wait until it lets them through, or for 30 s when the run is drained."),
    field("counts", ValueType::Words(&["dependency", "overload", "timeout", "panic"]), "The classes of errors that are failures; all of them by default. Errors that are about the item never are."),
];

#[rustfmt::skip]
const HW: &[Field] = &[
    field("enforce", ValueType::Word(Enforce::NAMES), "Whether the run says so, or does not start, where the machine does not give what is asked for."),
];

const TARGETS: &[&str] = &["sse4_2", "avx2", "avx512", "neon"];
