//! Benchmarks whose verdicts can be trusted: load, statistics, comparisons and reports.
