//! The numbers that checks compare with: `thresholds.ron`, or a file of the user in the same form.

use serde::Deserialize;

/// The numbers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "each is explained where it stands, in `thresholds.ron`"
)]
pub struct Thresholds {
    pub exit_latency_realtime_us: u64,
    pub exit_latency_us: u64,
    pub below_critical_celsius: i64,
    pub slack_of_linger: u64,
    pub oldest_kernel: (u32, u32),
    pub bad_kernels: Vec<BadKernels>,
    pub irqs_per_second: f64,
    pub footprint_of_memory: f64,
    pub footprint_of_limit: f64,
    pub swappiness: u64,
    pub map_count: u64,
    pub stat_interval: u64,
    pub min_free_pct: f64,
    pub memory_pressure: f64,
    pub slow_filesystems: Vec<String>,
    pub spare_files: u64,
    pub spare_threads: u64,
    pub thread_stack: u64,
    pub cpu_weight: u64,
    pub perf_paranoid: i64,
    pub sample_rate: u64,
    pub steal_bench_pct: f64,
    pub steal_pct: f64,
    pub steal_spin_pct: f64,
    pub burstable: Vec<String>,
    pub foreign_bench_pct: f64,
    pub foreign_pct: f64,
    pub cpu_pressure: f64,
    pub tsc_skew_ns: f64,
    pub stall_ns_per_second: f64,
    pub footprint_fail_pct: f64,
    pub footprint_warn_pct: f64,
    pub linger_floors: f64,
    pub slo_floor_pct: f64,
    pub inline_bytes: u64,
    pub timer_floors: u64,
    pub utilisation: f64,
}

/// Kernels that are known to be slow at something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadKernels {
    /// The first of them.
    pub from: (u32, u32),
    /// The first that is better again.
    pub until: (u32, u32),
    /// At what.
    pub why: String,
}

impl Thresholds {
    /// Reads numbers in the form of `thresholds.ron`.
    ///
    /// # Errors
    ///
    /// If one is missing, unknown, or of another form; the message names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        ron::from_str(text).map_err(|error| error.to_string())
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let text = include_str!("../table/thresholds.ron");
        Self::parse(text).expect("the table is a part of the program, and a test reads it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_read_and_others_are_refused() {
        let text = include_str!("../table/thresholds.ron");
        assert_eq!(Thresholds::parse(text), Ok(Thresholds::default()));
        let wrong = text.replace("swappiness", "swapiness");
        let error = Thresholds::parse(&wrong).expect_err("there is no such number");
        assert!(error.contains("swapiness"), "{error}");
    }
}
