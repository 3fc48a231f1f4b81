//! Machines that are made up: `2x4` is two nodes of four cores.

use super::{CoreKind, Cpu, Machine};

/// Most cpus of a made-up machine.
const MOST_CPUS: u32 = 4096;

/// The text of a made-up machine cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a machine: write `nodes x cores`, like `2x4`, or with the threads of each core, like `2x4x2`; at most {MOST_CPUS} cpus in all"
)]
#[non_exhaustive]
pub struct TopologyError {
    /// What was written, shortened.
    pub text: String,
}

pub(super) fn machine(text: &str) -> Result<Machine, TopologyError> {
    let wrong = || TopologyError {
        text: text.chars().take(40).flat_map(char::escape_debug).collect(),
    };
    let number = |part: &str| -> Option<u32> {
        let part = part.trim();
        let plain = part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n| plain && *n > 0)
    };
    let parts: Option<Vec<u32>> = text.split(['x', 'X']).map(number).collect();
    let (nodes, cores, threads) = match parts.as_deref() {
        Some([nodes, cores]) => (*nodes, *cores, 1),
        Some([nodes, cores, threads]) => (*nodes, *cores, *threads),
        _ => return Err(wrong()),
    };
    let all = nodes
        .checked_mul(cores)
        .and_then(|n| n.checked_mul(threads));
    let all = all.filter(|n| *n <= MOST_CPUS).ok_or_else(wrong)?;
    let cpu = |id: u32| {
        let core = id % (nodes * cores);
        let node = core / cores;
        Cpu {
            id,
            core,
            package: node,
            l3: node * cores,
            node,
            kind: CoreKind::Performance,
            online: true,
            isolated: false,
            usable: true,
        }
    };
    Ok(Machine {
        cpus: (0..all).map(cpu).collect(),
        quota: None,
        simulated: true,
        notes: Vec::new(),
    })
}
