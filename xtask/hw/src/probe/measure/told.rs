//! What the kernel says that it did to a thread: where gaps come from.

use std::fs;

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Time for which the host did not run this cpu, in seconds.
    pub(super) steal: Option<f64>,
    /// Interrupts of this cpu.
    pub(super) interrupts: Option<u64>,
    /// Time for which this thread could have run and did not, in nanoseconds.
    pub(super) run_delay: Option<u64>,
    /// How often another thread was run instead of this one.
    pub(super) preempted: Option<u64>,
    /// How often the control group had used up its time.
    pub(super) throttled: Option<u64>,
}

impl Told {
    /// Of the calling thread, on this cpu.
    pub(super) fn read(cpu: u32) -> Told {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let groups = [
            "/sys/fs/cgroup/cpu.stat",
            "/sys/fs/cgroup/cpu/cpu.stat",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.stat",
        ];
        Told {
            steal: steal(&text("/proc/stat"), cpu),
            interrupts: interrupts(&text("/proc/interrupts"), cpu),
            run_delay: text("/proc/thread-self/schedstat")
                .split_whitespace()
                .nth(1)
                .and_then(|ns| ns.parse().ok()),
            preempted: named(
                &text("/proc/thread-self/status"),
                "nonvoluntary_ctxt_switches:",
            ),
            throttled: groups
                .iter()
                .find_map(|path| named(&text(path), "nr_throttled")),
        }
    }

    /// What came since then, as words; nothing for what is not known.
    pub(super) fn since(&self, before: &Told) -> Vec<String> {
        let more = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        let some = |number: Option<u64>, what: &str| {
            number
                .filter(|number| *number > 0)
                .map(|number| format!("{number} {what}"))
        };
        let steal = self
            .steal
            .zip(before.steal)
            .map(|(now, before)| now - before)
            .filter(|steal| *steal > 0.0);
        let delay = more(self.run_delay, before.run_delay).filter(|ns| *ns > 0);
        [
            steal.map(|seconds| format!("the host took {seconds:.2} s")),
            some(
                more(self.preempted, before.preempted),
                "times another thread ran instead",
            ),
            delay.map(|ns| format!("waited {:.1} ms to run", ns as f64 / 1e6)),
            some(more(self.interrupts, before.interrupts), "interrupts"),
            some(
                more(self.throttled, before.throttled),
                "times the control group was out of time",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The eighth number of `cpuN` in `/proc/stat`, which counts hundredths of a second.
fn steal(stat: &str, cpu: u32) -> Option<f64> {
    let name = format!("cpu{cpu}");
    let line = stat
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&name))?;
    line.split_whitespace()
        .nth(8)?
        .parse::<f64>()
        .ok()
        .map(|ticks| ticks / 100.0)
}

/// The sum of the column of this cpu in `/proc/interrupts`.
fn interrupts(text: &str, cpu: u32) -> Option<u64> {
    let mut lines = text.lines();
    let name = format!("CPU{cpu}");
    let column = lines
        .next()?
        .split_whitespace()
        .position(|heading| heading == name)?;
    let counts =
        lines.filter_map(|line| line.split_whitespace().nth(column + 1)?.parse::<u64>().ok());
    Some(counts.sum())
}

fn named(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_what_the_kernel_prints() {
        let stat =
            "cpu  1 2 3 4 5 6 7 8 9 0\ncpu0 10 0 20 500 3 0 1 42 0 0\ncpu10 0 0 0 0 0 0 0 7 0 0\n";
        assert_eq!(
            (steal(stat, 0), steal(stat, 10), steal(stat, 1)),
            (Some(0.42), Some(0.07), None)
        );
        let table = "           CPU0       CPU1\n  4:         12          3   IO-APIC   4-edge      ttyS0\nLOC:     100000     200000   Local timer interrupts\nERR:          0\n";
        assert_eq!(
            (
                interrupts(table, 0),
                interrupts(table, 1),
                interrupts(table, 2)
            ),
            (Some(100_012), Some(200_003), None)
        );
        assert_eq!(interrupts("", 0), None);
        let group = "nr_periods 10\nnr_throttled 3\nthrottled_time 5\n";
        assert_eq!(
            (named(group, "nr_throttled"), named("", "nr_throttled")),
            (Some(3), None)
        );
    }

    #[test]
    fn what_grew_is_told_and_what_did_not_is_not() {
        let before = Told {
            steal: Some(1.0),
            interrupts: Some(10),
            preempted: Some(5),
            ..Told::default()
        };
        let after = Told {
            steal: Some(1.25),
            interrupts: Some(260),
            preempted: Some(5),
            throttled: Some(3),
            ..Told::default()
        };
        assert_eq!(
            after.since(&before),
            ["the host took 0.25 s", "250 interrupts"]
        );
    }
}
