//! The reader on recorded machines, and made-up machines.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

/// The machine that a recording describes, read by the real reader from files.
pub(crate) fn recorded(name: &str) -> Machine {
    let folder = unpacked(name);
    Machine::read_at(folder.path())
}

/// Writes a recording out as files.
fn unpacked(name: &str) -> tempfile::TempDir {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/machine/fixtures")
        .join(format!("{name}.txt"));
    let text = fs::read_to_string(&fixture).expect("the recording is there");
    let folder = tempfile::tempdir().expect("a folder for the recording");
    unpack(folder.path(), &text);
    folder
}

/// As [`unpacked`], from the text itself.
pub(crate) fn unpack(folder: &Path, text: &str) {
    for (path, content) in recording::entries(text) {
        for path in recording::expand(path, files::parse_list) {
            recording::write(&folder.join(path), &content);
        }
    }
}

/// The machine in a few lines: cores as `first+second` threads, those that are not usable in parentheses.
fn described(machine: &Machine) -> Vec<String> {
    let mut groups: BTreeMap<_, BTreeMap<u32, Vec<String>>> = BTreeMap::new();
    for cpu in machine.cpus() {
        let mut shown = cpu.id.to_string();
        if cpu.isolated {
            shown.push('i');
        }
        if !cpu.online {
            shown.push_str(" off");
        }
        if !cpu.usable {
            shown = format!("({shown})");
        }
        let group = groups
            .entry((cpu.node, cpu.package, cpu.l3, cpu.kind))
            .or_default();
        group.entry(cpu.core).or_default().push(shown);
    }
    let line = |((node, package, l3, kind), cores): (_, BTreeMap<u32, Vec<String>>)| {
        let cores: Vec<String> = cores
            .into_values()
            .map(|threads| threads.join("+"))
            .collect();
        let kind = if kind == CoreKind::Efficient {
            " efficient"
        } else {
            ""
        };
        let (node, package, l3): (u32, u32, u32) = (node, package, l3);
        format!(
            "node {node} package {package} l3 {l3}{kind}: {}",
            cores.join(" ")
        )
    };
    let mut lines: Vec<String> = groups
        .into_iter()
        .map(|((a, b, c, d), cores)| line(((a, b, c, d), cores)))
        .collect();
    lines.extend(machine.quota().map(|quota| format!("quota {quota}")));
    lines.extend(machine.notes().iter().map(|note| format!("note: {note}")));
    lines
}

#[track_caller]
fn check(name: &str, parallelism: usize, expect: &[&str]) {
    let machine = recorded(name);
    assert_eq!(described(&machine), expect, "{name}");
    assert_eq!(machine.parallelism(), parallelism, "{name}");
    assert!(machine.usable().count() > 0, "{name}");
}

#[test]
fn recorded_machines_are_read() {
    check("one_node", 4, &["node 0 package 0 l3 0: 0 1 2 3"]);
    check(
        "two_nodes_smt",
        3,
        &[
            "node 0 package 0 l3 0: 0+4 1+5",
            "node 1 package 1 l3 2: 2+6 (3i)+(7i)",
        ],
    );
    check(
        "four_nodes",
        6,
        &[
            "node 0 package 0 l3 0: 0 1",
            "node 0 package 0 l3 2: 2 3",
            "node 1 package 0 l3 4: 4 5",
            "node 1 package 0 l3 6: 6 7",
            "node 2 package 0 l3 8: 8 9",
            "node 2 package 0 l3 10: 10 11",
            "node 3 package 0 l3 12: 12 13",
            "node 3 package 0 l3 14: 14 15",
            "quota 6.5",
        ],
    );
    check(
        "hybrid",
        6,
        &[
            "node 0 package 0 l3 0: 0+1 2+3",
            "node 0 package 0 l3 0 efficient: 4 5 6 7",
        ],
    );
    check(
        "container",
        2,
        &[
            "node 0 package 0 l3 0: (0)+(4) (1)+(5) 2+6 3+7",
            "quota 2.5",
        ],
    );
    check(
        "container_v1",
        1,
        &["node 0 package 0 l3 0: (0) 1 (2) 3", "quota 0.5"],
    );
    check(
        "offline",
        2,
        &[
            "node 0 package 0 l3 0: 0 1",
            "node 0 package 0 l3 2: (2 off)",
            "node 0 package 0 l3 3: (3 off)",
        ],
    );
    check(
        "high_ids",
        6,
        &[
            "node 0 package 0 l3 0: 0 1",
            "node 7 package 7 l3 1022: 1022 1023 1024 1025",
        ],
    );
}

#[test]
fn what_was_read_before_is_read_again_when_other_cpus_are_online() {
    for name in ["one_node", "hybrid", "container", "no_sysfs", "broken"] {
        let folder = unpacked(name);
        let files = || Files::at(folder.path());
        let mut known = sysfs::Known::nothing();
        let first = known.read(files());
        assert_eq!(known.read(files()), first, "{name}");
        assert_eq!(Machine::read_at(folder.path()), first, "{name}");
        let online = folder.path().join("sys/devices/system/cpu/online");
        if !online.exists() {
            continue;
        }
        fs::write(online, "0\n").expect("a file");
        let fewer = known.read(files());
        assert_eq!(fewer, Machine::read_at(folder.path()), "{name}");
        assert_eq!(
            fewer.cpus().iter().filter(|cpu| cpu.online).count(),
            1,
            "{name}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_read_holds_for_a_second_for_threads_with_the_same_cpus() {
    let folder = unpacked("one_node");
    let files = || Files::at(folder.path());
    let (mut known, begun) = (sysfs::Known::nothing(), Instant::now());
    let after = |ms| begun + std::time::Duration::from_millis(ms);
    let all = seating::allowed().expect("the cpus of this thread");
    let first = known.machine(files(), Some(all), begun);
    fs::write(folder.path().join("sys/devices/system/cpu/online"), "0\n").expect("a file");
    let fewer = Machine::read_at(folder.path());
    assert_ne!(fewer, first);
    assert_eq!(known.machine(files(), Some(all), after(999)), first);
    assert_eq!(known.machine(files(), Some(all), after(1000)), fewer);
    fs::write(folder.path().join("sys/devices/system/cpu/online"), "0-3\n").expect("a file");
    assert_eq!(known.machine(files(), Some(all), after(1500)), fewer);
    // Another thread, which could run on other cpus; then one of which that is not known.
    let mut others = all;
    if others.is_set(9) {
        others.unset(9);
    } else {
        others.set(9);
    }
    assert_eq!(known.machine(files(), Some(others), after(1500)), first);
    fs::write(folder.path().join("sys/devices/system/cpu/online"), "0\n").expect("a file");
    assert_eq!(known.machine(files(), None, after(1501)), fewer);
}

#[test]
fn what_is_missing_or_broken_is_assumed_and_noted() {
    check(
        "capacities",
        6,
        &[
            "node 0 package 0 l3 0: 4 5",
            "node 0 package 0 l3 0 efficient: 0 1 2 3",
            "note: no memory nodes are listed; the machine is taken as one node",
            "note: not every cpu names a third-level cache; the other cpus of its package and node are taken to share one",
        ],
    );
    check(
        "no_sysfs",
        4,
        &[
            "node 0 package 0 l3 0: 0 1 2 5",
            "note: `/sys/devices/system/cpu` lists no cpus; those of the affinity mask are taken as cores of one node",
        ],
    );
    check(
        "nothing_usable",
        2,
        &[
            "node 0 package 0 l3 0: 0 1",
            "note: the affinity mask and the cpuset leave no cpu that is online; all that are online are taken",
        ],
    );
    check(
        "broken",
        2,
        &[
            "node 0 package 0 l3 0: 0 1",
            "note: the affinity mask is not a list of cpus: `0-?`",
            "note: `/sys/devices/system/cpu/online` is not a list of cpus: `banana`",
            "note: it is not known which cpus are online; all are taken to be",
            "note: `/sys/devices/system/cpu/cpu0/topology/thread_siblings_list` is not a list of cpus: `7-0`",
            "note: not every cpu names the threads of its core; such a cpu is taken as a core of its own",
            "note: `/sys/devices/system/cpu/cpu0/topology/physical_package_id` is not a number: `first`",
            "note: not every cpu names its package; such a cpu is taken to be in package 0",
            "note: `/sys/devices/system/cpu/cpu1/topology/physical_package_id` is not a number: `first`",
            "note: `/sys/devices/system/node/node0/cpulist` is not a list of cpus: `0-1-2`",
            "note: no memory nodes are listed; the machine is taken as one node",
            "note: `/sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list` is not a list of cpus: `0-99999999999`",
            "note: not every cpu names a third-level cache; the other cpus of its package and node are taken to share one",
            "note: `/sys/fs/cgroup/etc/cpuset.cpus.effective` is not a list of cpus: `;`",
            "note: `/sys/fs/cgroup/cpu.max` is not a cpu limit: `0 0`",
        ],
    );
}

#[test]
fn a_machine_that_tells_nothing_has_the_cpus_that_this_process_can_use() {
    let empty = tempfile::tempdir().expect("a folder");
    let machine = Machine::read_at(empty.path());
    let expect = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(machine.usable().count(), expect);
    assert_eq!(machine.notes().len(), 1, "{:?}", machine.notes());
}

#[test]
fn this_machine_can_be_read() {
    let machine = Machine::read();
    assert!(machine.usable().count() > 0);
    assert!(
        machine
            .usable()
            .all(|cpu| cpu.online || !machine.notes().is_empty())
    );
    assert!(!machine.is_simulated());
}

#[test]
fn machines_are_made_up_from_nodes_cores_and_threads() {
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let machine = Machine::simulate(text).expect("a machine");
        assert_eq!(described(&machine), expect);
        assert!(machine.is_simulated() && machine.notes().is_empty());
    }
    check("1x1", &["node 0 package 0 l3 0: 0"]);
    check(
        "2x4",
        &[
            "node 0 package 0 l3 0: 0 1 2 3",
            "node 1 package 1 l3 4: 4 5 6 7",
        ],
    );
    check(
        " 2 X 2 x2 ",
        &[
            "node 0 package 0 l3 0: 0+4 1+5",
            "node 1 package 1 l3 2: 2+6 3+7",
        ],
    );
}

#[test]
fn a_text_that_is_no_machine_is_refused_with_what_to_write() {
    for text in [
        "",
        "4",
        "2x",
        "x",
        "0x4",
        "2x4x2x1",
        "2*4",
        "-1x4",
        "+2x4",
        "65536x65536",
        "64x65",
        "2x4\u{1b}",
    ] {
        let error = Machine::simulate(text).expect_err(text).to_string();
        assert!(
            error.contains("write `nodes x cores`, like `2x4`"),
            "{error}"
        );
        assert!(!error.contains('\u{1b}'));
    }
}

#[test]
fn a_machine_is_shown_in_one_line() {
    let shown = recorded("container").to_string();
    assert_eq!(
        shown,
        "1 node, 2 cores, 4 cpus (4 more not usable), time for 2.5"
    );
    let shown = Machine::simulate("2x1").expect("a machine").to_string();
    assert_eq!(shown, "2 nodes, 2 cores, 2 cpus, simulated");
}
