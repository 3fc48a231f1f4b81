//! What a run that says `hw(enforce = ..)` asks of the machine besides its cores: looked at when it starts, in a few small
//! files. The rules are those of `fit.rs`.

use pipewright_spec::options::Wait;

use super::{Files, Machine, Shortfall, fit};
use crate::{lane::Lane, pin};

/// The workers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workers {
    pub(crate) count: usize,
    /// Is each bound to its cpu, or may it be?
    pub(crate) are_bound: bool,
}

/// What the machine does not give to these workers and pinned threads, whose buffers may take so many bytes. On a machine that
/// is made up, only its cpus are looked at.
pub(crate) fn unmet(
    machine: &Machine,
    files: &Files,
    workers: Workers,
    pins: &pin::Placement,
    memory: Option<u64>,
) -> Vec<Shortfall> {
    let mut short = of_pinned(machine, pins);
    let spins = pins.seats.iter().find(|seat| seat.wait == Wait::Spin);
    let spins = spins.map(|seat| seat.stage);
    let pinned: usize = pins.seats.iter().map(|seat| seat.cores.len()).sum();
    let threads = workers.count + pinned;
    if let Some(quota) = fit::short_quota(machine, threads, spins.is_some()) {
        short.push(Shortfall::Quota {
            threads,
            quota,
            spins,
        });
    }
    if workers.count > 1 && !workers.are_bound && fit::is_all_isolated(machine) {
        let workers = workers.count;
        short.push(Shortfall::OnlyIsolated { workers });
    }
    if !machine.is_simulated() {
        short.extend(memory.and_then(|asked| {
            let room = fit::short_memory(files, asked)?;
            Some(Shortfall::Memory { asked, room })
        }));
        short.extend(fit::slow_clock(files).map(|clock| Shortfall::SlowClock { clock }));
    }
    short
}

fn of_pinned(machine: &Machine, pins: &pin::Placement) -> Vec<Shortfall> {
    let owned: Vec<Vec<u32>> = pins
        .seats
        .iter()
        .map(|seat| seat.owned().collect())
        .collect();
    let one_core = |fit::Sharing {
                        first,
                        second,
                        cpus,
                    }| Shortfall::OneCore {
        stage: pins.seats[first].stage,
        other: pins.seats[second].stage,
        cpus,
    };
    let mut short: Vec<Shortfall> = fit::sharing(machine, &owned)
        .into_iter()
        .map(one_core)
        .collect();
    for (seat, cores) in pins.seats.iter().zip(&owned) {
        let cores = fit::efficient(machine, cores);
        if seat.lane == Lane::CRITICAL && !cores.is_empty() {
            let stage = seat.stage;
            short.push(Shortfall::Efficient { stage, cores });
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{
        super::{CoreKind, tests::unpack},
        *,
    };
    use crate::pin::place::Seat;

    fn seat(stage: &'static str, cores: &[u32], wait: Wait, lane: Lane) -> Seat {
        Seat {
            stage,
            cores: cores.iter().copied().map(Some).collect(),
            wait,
            realtime: None,
            lane,
        }
    }

    /// The ids and texts of what falls short.
    fn short(machine: &Machine, files: &str, workers: usize, seats: Vec<Seat>) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        unpack(folder.path(), files);
        let workers = Workers {
            count: workers,
            are_bound: false,
        };
        let pins = pin::Placement {
            seats,
            ..pin::Placement::default()
        };
        let all = unmet(
            machine,
            &Files::at(folder.path()),
            workers,
            &pins,
            Some(4096),
        );
        all.iter()
            .map(|short| format!("{} {short}; {}", short.id(), short.help()))
            .collect()
    }

    #[test]
    fn what_a_run_asks_for_in_vain_is_named_with_its_rule() {
        let mut machine = Machine::simulate("1x4x2").expect("a machine");
        let two = || {
            vec![
                seat("a", &[1], Wait::Spin, Lane::NORMAL),
                seat("b", &[5], Wait::Park, Lane::CRITICAL),
            ]
        };
        assert_eq!(
            short(&machine, "", 2, two()),
            [
                "P04 cpu 1 of `a` and cpu 5 of `b` are one physical core; write other `cores` for `b`"
            ]
        );
        assert_eq!(short(&machine, "", 2, Vec::new()), [""; 0]);
        machine.cpus[5].kind = CoreKind::Efficient;
        machine.quota = Some(16.0);
        assert_eq!(
            short(&machine, "", 2, two())[1..],
            [
                "P08 `b` is critical and pinned to the efficient core 5; write faster `cores` for `b`",
                "L06 4 threads have the time of 16.0 cpus, and stand still when it is used up; `a` spins, and uses it up; write `wait = park` for `a`, or start it without a quota"
            ]
        );
        machine.quota = Some(1.5);
        machine.cpus.iter_mut().for_each(|cpu| cpu.isolated = true);
        assert_eq!(
            short(&machine, "", 2, Vec::new()),
            [
                "L06 2 threads have the time of 1.5 cpus, and stand still when it is used up; have at most 1 thread, or start it with a larger quota",
                "P07 2 workers may run on isolated cpus only, and stay on the one that they begin on; write the `cores` of the pool, or start it with other cpus"
            ]
        );
        assert_eq!(
            short(&machine, "", 1, Vec::new()),
            [""; 0],
            "one thread fits"
        );
    }

    #[test]
    fn memory_and_the_clock_are_those_of_a_real_machine() {
        const FILES: &str = "proc/meminfo = MemAvailable: 3 kB\nsys/devices/system/clocksource/clocksource0/current_clocksource = acpi_pm";
        let mut machine = Machine::simulate("1x2").expect("a machine");
        assert_eq!(short(&machine, FILES, 1, Vec::new()), [""; 0]);
        machine.simulated = false;
        assert_eq!(
            short(&machine, FILES, 1, Vec::new()),
            [
                "M01 `memory` is 4096 bytes, and there are 3072; write at most `memory = 3072`",
                "C09 the clock of this machine is `acpi_pm`, which takes a system call to read; let the kernel use `tsc`, if the machine has it"
            ]
        );
    }
}
