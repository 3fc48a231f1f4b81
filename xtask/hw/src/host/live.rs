//! This machine.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use pipewright::machine::{kernel, realtime};

use super::{Before, Facts};
use crate::{Files, checks::COUNTERS};

/// No configuration of a kernel is longer, in bytes.
const MOST_CONFIG: u64 = 4 << 20;

pub(super) fn facts(workspace: &Path) -> Facts {
    Facts {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        hypervisor: hypervisor(),
        page: Some(rustix::param::page_size() as u64),
        compiled: compiled(),
        kernel_config: kernel_config(),
        clock: kernel::clock_discipline(),
        realtime: Some(try_realtime()),
        smi: smi(),
        rustc: output("rustc", &["-V"], workspace),
        commit: commit(workspace),
        folder: std::path::absolute(workspace)
            .ok()
            .map(|folder| folder.display().to_string()),
        pid: Some(std::process::id()),
    }
}

/// The name in leaf 0x4000_0000, where leaf 1 says that there is a hypervisor.
#[cfg(target_arch = "x86_64")]
fn hypervisor() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    if __cpuid(1).ecx >> 31 == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let bytes: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .filter(|byte| *byte != 0)
        .collect();
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> Option<String> {
    None
}

/// The features that this program is compiled for, which the workspace's programs share.
fn compiled() -> Vec<String> {
    macro_rules! known {
        ($($name:literal)*) => {
            [$(($name, cfg!(target_feature = $name))),*]
        };
    }
    let known = known!(
        "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b" "avx" "avx2" "bmi1" "bmi2" "fma" "lzcnt" "f16c" "movbe"
        "aes" "pclmulqdq" "sha" "gfni" "vaes" "vpclmulqdq" "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512vbmi"
        "avx512vbmi2" "neon" "lse" "crc" "sve" "sve2"
    );
    let compiled = known.into_iter().filter(|(_, compiled)| *compiled);
    compiled.map(|(name, _)| name.to_owned()).collect()
}

fn kernel_config() -> Option<String> {
    let mut text = String::new();
    let packed = File::open("/proc/config.gz").ok()?;
    let plain = flate2::read::GzDecoder::new(packed);
    plain.take(MOST_CONFIG).read_to_string(&mut text).ok()?;
    Some(text)
}

fn try_realtime() -> Result<(), String> {
    // On a thread of its own, which takes the priority with it when it ends.
    let asked = thread::scope(|scope| scope.spawn(|| realtime(1)).join());
    match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the thread that tried it panicked".to_owned()),
    }
}

/// Register 0x34 of Intel's processors, which only the administrator reads.
pub(super) fn smi() -> Option<u64> {
    let registers = File::open("/dev/cpu/0/msr").ok()?;
    let mut count = [0; 8];
    registers.read_exact_at(&mut count, 0x34).ok()?;
    Some(u64::from_le_bytes(count))
}

fn commit(workspace: &Path) -> Option<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"], workspace)?;
    let changes = output(
        "git",
        &["status", "--porcelain", "--untracked-files=no"],
        workspace,
    )?;
    Some(match changes.is_empty() {
        true => commit,
        false => format!("{commit} with changes"),
    })
}

fn output(program: &str, args: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The counters as they are, after which all cpus are kept busy for a while.
pub(super) fn watch(files: &Files, facts: &Facts, time: Duration) -> Before {
    let texts: BTreeMap<String, String> = COUNTERS
        .iter()
        .flat_map(|pattern| expand(files, pattern))
        .chain(crate::checks::group_counters(files))
        .filter_map(|path| Some((path.clone(), files.text(&path)?)))
        .collect();
    let begun = Instant::now();
    let busy = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                while begun.elapsed() < time {
                    std::hint::spin_loop();
                }
            });
        }
    });
    Before {
        texts,
        smi: facts.smi,
        ago: begun.elapsed(),
    }
}

/// The paths that a pattern stands for, where `*` is any name.
pub(crate) fn expand(files: &Files, pattern: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    for part in pattern.split('/') {
        let fits = |name: &str| match part.split_once('*') {
            Some((head, tail)) => {
                name.len() >= part.len() - 1 && name.starts_with(head) && name.ends_with(tail)
            }
            None => name == part,
        };
        let below = |path: &String| -> Vec<String> {
            let join = |name: &str| match path.as_str() {
                "" => name.to_owned(),
                path => format!("{path}/{name}"),
            };
            if !part.contains('*') {
                return vec![join(part)];
            }
            let names = files.names(path).unwrap_or_default();
            names
                .iter()
                .filter(|name| fits(name))
                .map(|name| join(name))
                .collect()
        };
        paths = paths.iter().flat_map(below).collect();
    }
    paths.retain(|path| files.has(path));
    paths
}
