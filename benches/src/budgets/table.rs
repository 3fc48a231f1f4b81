//! The budgets as data: what is measured, its bound, its unit.
//!
//! The bounds are those of a virtual machine with two cores of 2.5 GHz.

use super::Bound::{Above, AtLeast, AtMost, Below, NotBuilt, Shown};

/// One budget.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Its id, and which part of it, as in `B4.own`.
    pub key: &'static str,
    /// What is measured, and on what.
    pub what: &'static str,
    /// What it may be.
    pub bound: Bound,
    /// The unit of the bound.
    pub unit: &'static str,
}

impl Budget {
    /// The id by which it is asked for.
    pub fn id(&self) -> &'static str {
        self.key.split('.').next().unwrap_or(self.key)
    }
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// At least this.
    AtLeast(f64),
    /// More than this.
    Above(f64),
    /// It is not bounded; it says how the machine is.
    Shown,
    /// What it is about is not built, and what is.
    NotBuilt(&'static str),
}

const fn row(key: &'static str, what: &'static str, bound: Bound, unit: &'static str) -> Budget {
    Budget {
        key,
        what,
        bound,
        unit,
    }
}

/// All budgets.
#[rustfmt::skip] // A row is a line.
pub const TABLE: &[Budget] = &[
    row("B0.rmw", "read-modify-write that nobody contends", Shown, "ns"),
    row("B0.fence", "full fence", Shown, "ns"),
    row("B0.clock", "reading the clock", Shown, "ns"),
    row("B0.line", "a cache line from core 0 to core 1, one way", Shown, "ns"),
    row("B0.waker", "waking a parked thread: the waker's side", Shown, "us"),
    row("B0.wake", "waking a parked thread: until it runs", Shown, "us"),
    row("B0.memcpy", "copying 16 KiB in the first-level cache", Shown, "ns"),
    row("B1", "fused: source, 5 maps, sink of 2 ns against the loop by hand, time", AtMost(1.05), "x"),
    row("B2.alone", "boundary between batches of one item, worker alone", AtMost(45.0), "ns"),
    row("B2.carried", "the same in parallel work: ticket, buffer, token", AtMost(45.0), "ns"),
    row("B3.8", "an item of 8 B by carriers of 512 over the loop by hand", AtMost(1.0), "ns"),
    row("B3.64", "an item of 64 B by carriers of 512 over the loop by hand", AtMost(2.5), "ns"),
    row("B4.own", "source's token, taken and released", AtMost(20.0), "ns"),
    row("B4.two", "the same while another core wants it, each time that one gets it", AtMost(150.0), "ns"),
    row("B4.ticket", "ticket, taken and released", Shown, "ns"),
    row("B5.own", "gate, a batch that finds it open", AtMost(25.0), "ns"),
    row("B5.two", "gate, a batch of two cores that want nothing else", AtMost(200.0), "ns"),
    row("B5.item", "the same for an item of a batch of 512", AtMost(0.4), "ns"),
    row("B6", "gate, a batch that another core left, while the holder goes on", AtMost(60.0), "ns"),
    row("B7", "run queue, push and pop of a batch", AtMost(20.0), "ns"),
    row("B8.taken", "a batch stolen from another core", AtMost(350.0), "ns"),
    row("B8.nothing", "a look for something to steal, of 2 workers, in vain", AtMost(5.0), "ns"),
    row("B9.p50", "input, pushing an item, p50, without the clock", AtMost(25.0), "ns"),
    row("B9.p99", "input, pushing an item, p99, without the clock", AtMost(50.0), "ns"),
    row("B9.batch", "input, pushing 64 at once, an item", AtMost(4.0), "ns"),
    row("B9.take", "input, taking all, an item", AtMost(3.0), "ns"),
    row("B9.known", "making something known while nobody sleeps", Shown, "ns"),
    row("B10.hop", "the ring between pinned stages, an item by itself, one way, spinning", AtMost(200.0), "ns"),
    row("B10.item", "an item of bursts of 10 through the same ring", AtMost(6.0), "ns"),
    row("B11.control", "an empty batch from core to core, one way", AtMost(250.0), "ns"),
    row("B11.payload", "reading 16 KiB that the other core wrote", AtMost(3000.0), "ns"),
    row("B12.asleep", "from `send` to the stage, worker asleep", AtMost(60.0), "us"),
    row("B12.looking", "from `send` to the stage, worker looking for work", AtMost(1.0), "us"),
    row("B13.guest", "`call`, done by the caller", NotBuilt("a caller that works"), "ns"),
    row("B13.worker", "`call`, done by a worker that looks for work", AtMost(1.5), "us"),
    row("B13.asleep", "`call`, done by a worker that sleeps", Shown, "us"),
    row("B13.async", "`call_async`, polled by a thread, done by a worker that looks for work", Shown, "us"),
    row("B14.p99", "from `send_at(Critical)` to the stage, workers busy with 1 us items, p99", AtMost(64.0), "us"),
    row("B14.p50", "the same, p50", Shown, "us"),
    row("B15.uniform", "dividing by key, 1 M keys, 16 partitions, an item", AtMost(4.0), "ns"),
    row("B15.zipf", "the same, keys by Zipf 1.1", AtMost(4.0), "ns"),
    row("B15.part", "a part: opened, through its gate, returned", AtMost(150.0), "ns"),
    row("B16.broadcast", "a second reader behind a gate, a batch of one item", AtMost(40.0), "ns"),
    row("B16.route", "two doors in the loop over a `match` by hand, an item", AtMost(1.0), "ns"),
    row("B17.ready", "`async fn` that is ready at once, an item", AtMost(120.0), "ns"),
    row("B17.allocations", "allocations of `async fn`, a third of which wait once, 1 and 2 workers", AtMost(0.0), ""),
    row("guards.breaker", "a breaker that stays closed, an item of a stage by batches of 512", AtMost(5.0), "ns"),
    row("guards.all", "breaker with `slow`, retry, rate, timeout and `workers` of that stage, an item", Shown, "ns"),
    row("B18.cpu", "waiting for input, 2 workers, of a core", Below(crate::idle::CPU_PCT), "%"),
    row("B18.wakes", "waiting for input, wake-ups a second", AtMost(crate::idle::WAKES), ""),
    row("B18.start", "start with 2 workers", Below(crate::idle::START_MS), "ms"),
    row("B18.drain", "drain of an empty pipeline", Below(crate::idle::DRAIN_MS), "ms"),
    row("B19", "allocations in steady state, 9 kinds of sources and links, 1 and 2 workers", AtMost(0.0), ""),
    row("B20.cores", "2 workers against 1, compute bound, a core each", AtLeast(1.9), "x"),
    row("B20.threads", "2 workers against 1, compute bound, hardware threads of one core", AtLeast(1.2), "x"),
    row("B21", "an item in a batch that does not fill, linger 150 us, quantum 64 us, p99.9", AtMost(214.0), "us"),
    row("send.p50", "`send`, worker running, p50, without the clock", AtMost(50.0), "ns"),
    row("send.p99", "the same, p99", AtMost(200.0), "ns"),
    row("tasks.item", "sending and doing an empty task, one by one, 2 workers", Below(50.0), "ns"),
    row("tasks.rate", "empty tasks, one by one, 2 workers", Above(100_000.0), "/s"),
    row("cache", "cache read in a stage, 1 worker, with all that the loop does", Below(60.0), "ns"),
    row("fork", "`fib` with a fork at every call, of which nobody takes any, against calls, time", AtMost(1.0 / 0.55), "x"),
    row("threads.one_by_one", "8 standing threads send 100 empty tasks each one by one to 2 workers, until done", Below(1000.0), "us"),
    row("threads.1", "1 standing thread sends 1,000 empty tasks in batches of 64 to 2 workers, until done", AtMost(131.0), "us"),
    row("threads.2", "2 threads, 1,000 each", AtMost(200.0), "us"),
    row("threads.4", "4 threads, 1,000 each", AtMost(400.0), "us"),
    row("threads.8", "8 threads, 1,000 each", AtMost(500.0), "us"),
    row("load.1.p50", "requests of 2 us, 1 worker, input of 32, load factor 1.0, p50", Below(100.0), "us"),
    row("load.1.p95", "the same, p95", Below(500.0), "us"),
    row("load.1.p99", "the same, p99", Below(1000.0), "us"),
    row("load.1.shed", "the same, shed because the input was full", Shown, "%"),
    row("load.5.p50", "the same at load factor 5.0, p50 of those taken", Below(100.0), "us"),
    row("load.5.p95", "the same, p95", Below(500.0), "us"),
    row("load.5.p99", "the same, p99", Below(1000.0), "us"),
    row("load.5.shed", "the same, shed because the input was full", Shown, "%"),
    row("critical.p99", "critical requests of 20 us among others, 1 worker, 95 % load, p99", AtMost(2.0 * 20.0 + 64.0), "us"),
    row("critical.p50", "the same, p50", Shown, "us"),
    row("critical.others", "the others, p50", Shown, "us"),
    row("critical.machine", "what the machine lets an arrival wait for a thread that spins, p99", Shown, "us"),
    row("memory", "most memory that the process had (VmHWM)", Below(2048.0), "MiB"),
    row("expansion.10", "expansion, of 10 stages, a stage", AtMost(5.0), "ms"),
    row("expansion.20", "expansion, of 20 stages, a stage", AtMost(5.0), "ms"),
    row("compile.debug", "building 10 stages as a pipeline over calling them by hand, debug", AtMost(1.5), "s"),
    row("compile.release", "the same, release", AtMost(3.0), "s"),
];
