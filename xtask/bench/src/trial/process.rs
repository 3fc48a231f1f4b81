//! What the system knows of this process.

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads so far.
pub(super) fn cpu_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

/// Processor time of all threads but this one so far.
pub(super) fn others_cpu_time() -> Duration {
    // This thread works between the two questions.
    time(ClockId::ProcessCPUTime).saturating_sub(time(ClockId::ThreadCPUTime))
}

fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The metrics that every scenario has; the peak of memory only where the system tells it.
pub(super) fn rates(items: u64, took: Duration, cpu: Duration) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut set = |name: &str, value: f64| metrics.insert(name.to_owned(), value);
    set("throughput", items as f64 / took.as_secs_f64());
    if items > 0 {
        set("cpu_per_item", cpu.as_nanos() as f64 / items as f64);
    }
    if let Some(bytes) = status("VmHWM:") {
        set("peak_rss", bytes as f64);
    }
    metrics
}

/// Bytes that are resident now; 0 where the system does not tell.
pub(super) fn resident() -> u64 {
    status("VmRSS:").unwrap_or(0)
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
