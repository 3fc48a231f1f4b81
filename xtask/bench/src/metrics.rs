//! What can be measured: names, units, which way is better, and from which change on it matters.

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Scale {
    /// By their ratio.
    Ratio,
    /// By their difference: they may be 0.
    Count,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) scale: Scale,
    /// The largest change that does not matter: a share, or of counts a difference.
    pub(crate) band: f64,
    /// Does a verdict on it decide how a comparison ends?
    pub(crate) gate: bool,
}

/// All metrics.
pub(crate) const METRICS: &[Metric] = &[
    of("throughput", "items/s", Better::Higher, 0.03, true),
    of("cpu_per_item", "ns", Better::Lower, 0.03, false),
    of("latency_p50", "ns", Better::Lower, 0.05, false),
    of("latency_p95", "ns", Better::Lower, 0.07, false),
    of("latency_p99", "ns", Better::Lower, 0.10, true),
    of("latency_p999", "ns", Better::Lower, 0.20, false),
    of("latency_max", "ns", Better::Lower, 0.50, false),
    of("peak_rss", "bytes", Better::Lower, 0.05, false),
    of(
        "instructions_per_item",
        "instructions",
        Better::Lower,
        0.05,
        false,
    ),
    Metric {
        scale: Scale::Count,
        ..of("allocs_per_item", "allocations", Better::Lower, 0.0, true)
    },
    Metric {
        scale: Scale::Count,
        ..of("loss", "items", Better::Lower, 0.0, false)
    },
];

const fn of(
    name: &'static str,
    unit: &'static str,
    better: Better,
    band: f64,
    gate: bool,
) -> Metric {
    Metric {
        name,
        unit,
        better,
        scale: Scale::Ratio,
        band,
        gate,
    }
}

/// The metric of this name.
pub(crate) fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The names, for messages.
pub(crate) fn names() -> String {
    let names: Vec<String> = METRICS
        .iter()
        .map(|metric| format!("`{}`", metric.name))
        .collect();
    names.join(", ")
}

impl Metric {
    /// How much worse `b` is than `a`: the logarithm of their ratio, or their difference; negative if it is better. `None`
    /// where a ratio has no meaning.
    pub(crate) fn worse(&self, a: f64, b: f64) -> Option<f64> {
        let more = match self.scale {
            Scale::Count => b - a,
            Scale::Ratio if a > 0.0 && b > 0.0 => (b / a).ln(),
            Scale::Ratio => return None,
        };
        Some(match self.better {
            Better::Lower => more,
            Better::Higher => -more,
        })
    }

    /// The band as `worse` counts.
    pub(crate) fn bound(&self, band: f64) -> f64 {
        match self.scale {
            Scale::Count => band,
            Scale::Ratio => band.ln_1p(),
        }
    }

    /// What `worse` gives, as a change of the value itself: -0.02 is 2 % less.
    pub(crate) fn change(&self, worse: f64) -> f64 {
        let more = match self.better {
            Better::Lower => worse,
            Better::Higher => -worse,
        };
        match self.scale {
            Scale::Count => more,
            Scale::Ratio => more.exp_m1(),
        }
    }

    /// A change in words: per cent, or allocations.
    pub(crate) fn shown(&self, change: f64) -> String {
        match self.scale {
            Scale::Count => format!("{change:+.3}"),
            Scale::Ratio => format!("{:+.1} %", change * 100.0),
        }
    }

    /// A value with its unit.
    pub(crate) fn value(&self, value: f64) -> String {
        match (self.unit, value.abs()) {
            ("ns", v) if v >= 1e9 => format!("{:.2} s", value / 1e9),
            ("ns", v) if v >= 1e6 => format!("{:.2} ms", value / 1e6),
            ("ns", v) if v >= 1e3 => format!("{:.1} us", value / 1e3),
            ("ns", _) => format!("{value:.1} ns"),
            ("bytes", v) if v >= 1024.0 * 1024.0 => format!("{:.1} MiB", value / 1024.0 / 1024.0),
            ("bytes", v) if v >= 1024.0 => format!("{:.1} KiB", value / 1024.0),
            ("bytes", _) => format!("{value:.0} B"),
            ("items/s", v) if v >= 1e6 => format!("{:.2} M/s", value / 1e6),
            ("items/s", v) if v >= 1e3 => format!("{:.1} k/s", value / 1e3),
            ("items/s", _) => format!("{value:.1} /s"),
            (_, v) if v >= 100.0 => format!("{value:.0}"),
            _ => format!("{value:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_more_of_what_costs_and_less_of_what_is_wanted() {
        let check = |name: &str, a: f64, b: f64, change: f64, is_worse: bool| {
            let metric = find(name).expect("it is a metric");
            let worse = metric.worse(a, b).expect("it can be compared");
            assert_eq!(worse > 0.0, is_worse, "{name}");
            assert!(
                (metric.change(worse) - change).abs() < 1e-9,
                "{name}: {}",
                metric.change(worse)
            );
        };
        check("throughput", 100.0, 90.0, -0.1, true);
        check("throughput", 100.0, 110.0, 0.1, false);
        check("latency_p99", 100.0, 110.0, 0.1, true);
        check("allocs_per_item", 0.0, 2.0, 2.0, true);
    }

    #[test]
    fn a_ratio_needs_values_above_zero() {
        let metric = find("throughput").expect("it is a metric");
        assert_eq!(metric.worse(0.0, 1.0), None);
        assert_eq!(metric.worse(1.0, f64::NAN), None);
    }

    #[test]
    fn no_name_stands_twice() {
        for metric in METRICS {
            assert_eq!(find(metric.name), Some(metric));
        }
    }
}
