//! What does not fit a machine: rules that `start()` and the repository's check of machines share.
//!
//! Each is one question about cpus and threads, and knows nothing of what follows from the answer.

use super::{CoreKind, Files, Levels, Machine};

/// Clocks that programs read without asking the kernel.
const QUICK_CLOCKS: [&str; 4] = [
    "tsc",
    "arch_sys_counter",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
];

/// Two threads on two cpus of one physical core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Which of the loops the first thread is of.
    pub first: usize,
    /// Which of the loops the second thread is of; it may be the same.
    pub second: usize,
    /// Their cpus.
    pub cpus: (u32, u32),
}

/// The threads of loops, each with the cpus that its threads are bound to, that share physical cores; a pair of loops once.
pub fn sharing<C: AsRef<[u32]>>(machine: &Machine, loops: &[C]) -> Vec<Sharing> {
    let threads: Vec<(usize, u32)> = (0..)
        .zip(loops)
        .flat_map(|(at, cpus)| cpus.as_ref().iter().map(move |cpu| (at, *cpu)))
        .collect();
    let mut found: Vec<Sharing> = Vec::new();
    for (n, &(first, a)) in threads.iter().enumerate() {
        for &(second, b) in &threads[n + 1..] {
            let cores = (machine.cpu(a), machine.cpu(b));
            let (Some(one), Some(other)) = cores else {
                continue;
            };
            let known = |known: &Sharing| (known.first, known.second) == (first, second);
            if a != b && one.core == other.core && !found.iter().any(known) {
                let cpus = (a, b);
                found.push(Sharing {
                    first,
                    second,
                    cpus,
                });
            }
        }
    }
    found
}

/// The time that the control groups give, if it is less than so many busy threads take. Threads that spin use up any: then
/// all of them stand still for the rest of the period.
pub fn short_quota(machine: &Machine, busy: usize, spins: bool) -> Option<f64> {
    machine
        .quota()
        .filter(|quota| spins || *quota < busy as f64)
}

/// The bytes that there are, if `asked` are more: what is available, or the least limit of the control groups.
pub fn short_memory(files: &Files, asked: u64) -> Option<u64> {
    let text = files.text("proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    let levels = Levels::of(files, "memory");
    let new = levels
        .v2
        .iter()
        .map(|folder| format!("{folder}/memory.max"));
    let old = levels
        .v1
        .iter()
        .map(|folder| format!("{folder}/memory.limit_in_bytes"));
    // No limit is a word or a number that no machine has.
    let limits = new
        .chain(old)
        .filter_map(|path| files.text(&path)?.parse().ok());
    let room = limits.fold(kilobytes.saturating_mul(1024), u64::min);
    (room < asked).then_some(room)
}

/// The clock that this machine has, if reading it is a system call.
pub fn slow_clock(files: &Files) -> Option<String> {
    let clock = files.text("sys/devices/system/clocksource/clocksource0/current_clocksource")?;
    (!is_quick_clock(&clock)).then_some(clock)
}

/// May threads that are not bound run on nothing but isolated cpus? The scheduler does not spread them there: all of them
/// stay on the cpu that they began on.
pub fn is_all_isolated(machine: &Machine) -> bool {
    machine.usable().count() > 1 && machine.usable().all(|cpu| cpu.isolated)
}

/// Those of these cpus that are efficient cores, on a machine that has others.
pub fn efficient(machine: &Machine, cpus: &[u32]) -> Vec<u32> {
    let is_slow = |cpu: &&u32| {
        let cpu = machine.cpu(**cpu);
        cpu.is_some_and(|cpu| cpu.kind == CoreKind::Efficient)
    };
    cpus.iter().filter(is_slow).copied().collect()
}

/// Is this clock read without a system call?
pub fn is_quick_clock(name: &str) -> bool {
    QUICK_CLOCKS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::unpack, *};

    fn machine(text: &str) -> Machine {
        Machine::simulate(text).expect("a machine")
    }

    #[test]
    fn threads_on_one_physical_core_are_found_once_for_each_pair_of_loops() {
        // Cpus 0 and 4, 1 and 5, .. are cores.
        let machine = machine("1x4x2");
        let check = |loops: &[&[u32]], expect: &[(usize, usize, (u32, u32))]| {
            let found: Vec<_> = sharing(&machine, loops)
                .into_iter()
                .map(|one| (one.first, one.second, one.cpus))
                .collect();
            assert_eq!(found, expect, "{loops:?}");
        };
        check(&[], &[]);
        check(&[&[0, 1], &[2, 3]], &[]);
        check(&[&[0, 4]], &[(0, 0, (0, 4))]);
        check(&[&[0, 1], &[4, 5]], &[(0, 1, (0, 4))]);
        check(&[&[0], &[0]], &[]);
        check(&[&[99], &[4]], &[]);
    }

    #[test]
    fn only_threads_that_have_nothing_but_isolated_cpus_pile_up() {
        let mut machine = machine("1x2");
        assert!(!is_all_isolated(&machine));
        machine.cpus[0].isolated = true;
        assert!(!is_all_isolated(&machine));
        machine.cpus[1].isolated = true;
        assert!(is_all_isolated(&machine));
        machine.cpus[1].usable = false;
        assert!(!is_all_isolated(&machine), "one cpu is no choice");
    }

    #[test]
    fn a_quota_is_short_when_busy_threads_take_more() {
        let mut machine = machine("1x4");
        assert_eq!(short_quota(&machine, 100, true), None);
        machine.quota = Some(2.5);
        assert_eq!(short_quota(&machine, 2, false), None);
        assert_eq!(short_quota(&machine, 2, true), Some(2.5));
        assert_eq!(short_quota(&machine, 3, false), Some(2.5));
    }

    #[test]
    fn memory_and_clocks_are_read_and_what_is_not_told_is_not_short() {
        const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        let check = |text: &str, room: Option<u64>, clock: Option<&str>| {
            let folder = tempfile::tempdir().expect("a folder");
            unpack(folder.path(), text);
            let files = Files::at(folder.path());
            assert_eq!(short_memory(&files, 1 << 30), room, "{text}");
            assert_eq!(slow_clock(&files).as_deref(), clock, "{text}");
        };
        check("", None, None);
        check("proc/meminfo = nonsense", None, None);
        check("proc/meminfo = MemAvailable: 2000000 kB", None, None);
        check(
            "proc/meminfo = MemAvailable: 1000 kB",
            Some(1_024_000),
            None,
        );
        let limited = "proc/meminfo = MemAvailable: 2000000 kB\nproc/self/cgroup = 0::/a\nsys/fs/cgroup/cgroup.controllers = memory\nsys/fs/cgroup/a/memory.max = 4096";
        check(limited, Some(4096), None);
        check(&limited.replace("4096", "max"), None, None);
        check(&format!("{CLOCK} = hpet"), None, Some("hpet"));
        check(&format!("{CLOCK} = tsc"), None, None);
    }

    #[test]
    fn efficient_cores_are_named() {
        let mut machine = machine("1x4");
        machine.cpus[3].kind = CoreKind::Efficient;
        assert_eq!(efficient(&machine, &[0, 2, 3, 9]), [3]);
        assert_eq!(efficient(&machine, &[0, 1]), [0; 0]);
    }
}
