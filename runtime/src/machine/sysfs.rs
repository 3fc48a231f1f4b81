//! Reads the machine from `/sys` and `/proc`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    CoreKind, Cpu, Machine, cgroup,
    files::{Files, Reader},
    seating::Allowed,
};

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";
/// Levels of cache that are looked at to find the third.
const CACHES: u32 = 6;

/// How long what was read holds: a run that starts so much later may as well have started then.
const FRESH: Duration = Duration::from_secs(1);

/// What was read before.
#[derive(Debug)]
pub(super) struct Known {
    hardware: Option<Hardware>,
    last: Option<Last>,
}

/// What does not change while the same cpus are online.
#[derive(Debug)]
struct Hardware {
    online: String,
    cpus: Vec<Cpu>,
    notes: Vec<String>,
}

/// The machine as it was read last.
#[derive(Debug)]
struct Last {
    machine: Machine,
    allowed: Allowed,
    at: Instant,
}

impl Known {
    pub(super) const fn nothing() -> Self {
        Self {
            hardware: None,
            last: None,
        }
    }

    /// The machine as it was read last, if that was less than [`FRESH`] before `now` by a thread that could run on the same
    /// cpus; else as it is. A cpu that goes, by affinity, cpuset or power, is missed among those on which a thread can run.
    /// `allowed` are those cpus; `None` where the system does not tell.
    pub(super) fn machine(
        &mut self,
        files: Files,
        allowed: Option<Allowed>,
        now: Instant,
    ) -> Machine {
        let fresh = |last: &&Last| {
            Some(&last.allowed) == allowed.as_ref() && now.duration_since(last.at) < FRESH
        };
        if let Some(last) = self.last.as_ref().filter(fresh) {
            return last.machine.clone();
        }
        let machine = self.read(files);
        self.last = allowed.map(|allowed| Last {
            machine: machine.clone(),
            allowed,
            at: now,
        });
        machine
    }

    /// Reads the machine, without the some ten files of each cpu where they were read before.
    pub(super) fn read(&mut self, files: Files) -> Machine {
        let mut reader = Reader::new(files);
        let allowed = cgroup::allowed(&mut reader);
        let cpus = self.cpus(&mut reader);
        let mut cpus = cpus.unwrap_or_else(|| without_sysfs(&mut reader, allowed.as_deref()));
        restrict(&mut reader, &mut cpus, allowed);
        let quota = cgroup::quota(&mut reader);
        Machine {
            cpus,
            quota,
            simulated: false,
            notes: reader.notes,
        }
    }

    /// The cpus, all of those that are online as if they could be used; `None` without `/sys`.
    fn cpus(&mut self, reader: &mut Reader) -> Option<Vec<Cpu>> {
        let online = reader.files.text(&format!("{CPUS}/online"));
        if let (Some(known), Some(online)) = (&self.hardware, &online)
            && known.online == *online
        {
            known.notes.iter().for_each(|note| reader.note(note));
            return Some(known.cpus.clone());
        }
        let ids = reader.files.numbered(CPUS, "cpu");
        if ids.is_empty() {
            return None;
        }
        let before = reader.notes.len();
        let cpus = with_sysfs(reader, &ids);
        self.hardware = online.map(|online| Hardware {
            online,
            cpus: cpus.clone(),
            notes: reader.notes[before..].to_vec(),
        });
        Some(cpus)
    }
}

/// Reads everything; what is missing or broken is replaced by the plainest assumption, and noted.
pub(super) fn read(files: Files) -> Machine {
    Known::nothing().read(files)
}

/// Cpus of which nothing is known but that they are there.
fn without_sysfs(reader: &mut Reader, allowed: Option<&[u32]>) -> Vec<Cpu> {
    let ids: Vec<u32> = match allowed {
        Some(allowed) => {
            reader.note("`/sys/devices/system/cpu` lists no cpus; those of the affinity mask are taken as cores of one node");
            allowed.to_vec()
        }
        None => {
            reader.note("`/sys` and `/proc` tell nothing about cpus; as many as this process can run at once are taken as cores of one node");
            let n = std::thread::available_parallelism().map_or(1, usize::from);
            (0..n as u32).collect()
        }
    };
    let first = ids.first().copied().unwrap_or(0);
    let cpu = |&id: &u32| Cpu {
        id,
        core: id,
        package: 0,
        l3: first,
        node: 0,
        kind: CoreKind::Performance,
        online: true,
        isolated: false,
        usable: true,
    };
    ids.iter().map(cpu).collect()
}

fn with_sysfs(reader: &mut Reader, ids: &[u32]) -> Vec<Cpu> {
    let online = reader
        .list(&format!("{CPUS}/online"))
        .filter(|online| !online.is_empty());
    if online.is_none() {
        reader.note("it is not known which cpus are online; all are taken to be");
    }
    let is_online = |id: u32| {
        online
            .as_ref()
            .is_none_or(|online| online.binary_search(&id).is_ok())
    };
    let up: Vec<u32> = ids.iter().copied().filter(|id| is_online(*id)).collect();
    let isolated = reader.list(&format!("{CPUS}/isolated")).unwrap_or_default();
    let cores = cores(reader, &up);
    let packages = packages(reader, &up, &cores);
    let nodes = nodes(reader, &up);
    let caches = caches(reader, &up, &packages, &nodes);
    let slow = slow(reader, &up);
    let of = |map: &BTreeMap<u32, u32>, id: u32, other: u32| map.get(&id).copied().unwrap_or(other);
    let cpu = |&id: &u32| Cpu {
        id,
        core: of(&cores, id, id),
        package: of(&packages, id, 0),
        l3: of(&caches, id, id),
        node: of(&nodes, id, 0),
        kind: if slow.contains(&id) {
            CoreKind::Efficient
        } else {
            CoreKind::Performance
        },
        online: is_online(id),
        isolated: isolated.contains(&id),
        usable: is_online(id),
    };
    ids.iter().map(cpu).collect()
}

/// The physical core of each cpu, named by its lowest cpu.
fn cores(reader: &mut Reader, ids: &[u32]) -> BTreeMap<u32, u32> {
    let mut cores = BTreeMap::new();
    for &id in ids {
        if cores.contains_key(&id) {
            continue;
        }
        let topology = format!("{CPUS}/cpu{id}/topology");
        let names = ["thread_siblings_list", "core_cpus_list"];
        let siblings = names
            .iter()
            .find_map(|name| reader.list(&format!("{topology}/{name}")));
        if siblings.is_none() {
            reader.note("not every cpu names the threads of its core; such a cpu is taken as a core of its own");
        }
        group(&mut cores, id, siblings);
    }
    cores
}

/// Puts `id` and `members` into one group, named by its lowest member; members of other groups stay there.
fn group(groups: &mut BTreeMap<u32, u32>, id: u32, members: Option<Vec<u32>>) {
    // A list that does not hold the cpu whose list it is says nothing about it.
    let members = members
        .filter(|members| members.contains(&id))
        .unwrap_or_else(|| vec![id]);
    let name = members
        .iter()
        .copied()
        .find(|member| !groups.contains_key(member))
        .unwrap_or(id);
    for member in members {
        groups.entry(member).or_insert(name);
    }
}

fn packages(reader: &mut Reader, ids: &[u32], cores: &BTreeMap<u32, u32>) -> BTreeMap<u32, u32> {
    let mut packages: BTreeMap<u32, u32> = BTreeMap::new();
    for &id in ids {
        if packages.contains_key(&id) {
            continue;
        }
        let topology = format!("{CPUS}/cpu{id}/topology");
        let package = reader.number(&format!("{topology}/physical_package_id"));
        if package.is_none() {
            reader.note("not every cpu names its package; such a cpu is taken to be in package 0");
        }
        // Some machines say -1 for a package that they do not number.
        let package = package.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        // One look at the list spares a look at each of its cpus; without one, the threads of a core are known.
        let names = ["package_cpus_list", "core_siblings_list"];
        let listed = names
            .iter()
            .find_map(|name| reader.list(&format!("{topology}/{name}")));
        let core = cores.get(&id);
        let together = |other: &&u32| match &listed {
            Some(listed) => listed.binary_search(other).is_ok(),
            None => cores.get(*other) == core,
        };
        for &other in ids.iter().filter(together) {
            packages.entry(other).or_insert(package);
        }
        packages.insert(id, package);
    }
    packages
}

fn nodes(reader: &mut Reader, ids: &[u32]) -> BTreeMap<u32, u32> {
    let mut nodes = BTreeMap::new();
    for node in reader.files.numbered(NODES, "node") {
        for cpu in reader
            .list(&format!("{NODES}/node{node}/cpulist"))
            .unwrap_or_default()
        {
            nodes.entry(cpu).or_insert(node);
        }
    }
    if nodes.is_empty() {
        reader.note("no memory nodes are listed; the machine is taken as one node");
    } else if ids.iter().any(|id| !nodes.contains_key(id)) {
        reader.note("not every cpu belongs to a memory node; such a cpu is taken to be on node 0");
    }
    nodes
}

/// The third-level cache of each cpu, named by its lowest cpu.
fn caches(
    reader: &mut Reader,
    ids: &[u32],
    packages: &BTreeMap<u32, u32>,
    nodes: &BTreeMap<u32, u32>,
) -> BTreeMap<u32, u32> {
    let mut caches = BTreeMap::new();
    for &id in ids {
        if caches.contains_key(&id) {
            continue;
        }
        let shared = cache_of(reader, id);
        if shared.is_some() {
            group(&mut caches, id, shared);
            continue;
        }
        reader.note("not every cpu names a third-level cache; the other cpus of its package and node are taken to share one");
        let place = (packages.get(&id), nodes.get(&id));
        let same = |other: &&u32| (packages.get(*other), nodes.get(*other)) == place;
        group(
            &mut caches,
            id,
            Some(ids.iter().filter(same).copied().collect()),
        );
    }
    caches
}

fn cache_of(reader: &mut Reader, id: u32) -> Option<Vec<u32>> {
    let cache = |index: u32| format!("{CPUS}/cpu{id}/cache/index{index}");
    // The third index is the third level nearly everywhere; where level 1 is not split in two, the level says which it is.
    let third = (0..CACHES).find(|index| {
        let level = reader.files.text(&format!("{}/level", cache(*index)));
        level.is_some_and(|level| level == "3")
    });
    reader.list(&format!("{}/shared_cpu_list", cache(third.unwrap_or(3))))
}

/// The efficient cores of a machine that has two kinds.
fn slow(reader: &mut Reader, ids: &[u32]) -> Vec<u32> {
    let atoms = ["sys/devices/cpu_atom/cpus", "sys/devices/cpu_lowpower/cpus"];
    if reader.files.has("sys/devices/cpu_core/cpus") {
        return atoms
            .iter()
            .filter_map(|path| reader.list(path))
            .flatten()
            .collect();
    }
    let mut capacities = Vec::new();
    for &id in ids {
        let Some(capacity) = reader.number(&format!("{CPUS}/cpu{id}/cpu_capacity")) else {
            // A kernel gives it for all cpus or for none.
            break;
        };
        capacities.push((id, capacity));
    }
    let most = capacities.iter().map(|(_, capacity)| *capacity).max();
    let slower = capacities
        .iter()
        .filter(|(_, capacity)| Some(*capacity) < most);
    slower.map(|(id, _)| *id).collect()
}

/// Marks the cpus that this process may use.
fn restrict(reader: &mut Reader, cpus: &mut [Cpu], allowed: Option<Vec<u32>>) {
    let cpuset = cgroup::cpuset(reader);
    for limit in [allowed, cpuset].into_iter().flatten() {
        for cpu in cpus.iter_mut() {
            cpu.usable &= limit.binary_search(&cpu.id).is_ok();
        }
    }
    if !cpus.iter().any(|cpu| cpu.usable) {
        reader.note("the affinity mask and the cpuset leave no cpu that is online; all that are online are taken");
        for cpu in cpus.iter_mut() {
            cpu.usable = cpu.online;
        }
    }
}
