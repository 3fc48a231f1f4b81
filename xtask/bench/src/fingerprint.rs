//! What a machine is: what has to be the same for two results to be comparable.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// A digest of the fields: results of different classes are not compared.
    pub class: String,
    /// Names and values; what cannot be read is `unknown`.
    pub fields: BTreeMap<String, String>,
}

/// Files with one value.
const FILES: &[(&str, &str)] = &[
    ("quota", "sys/fs/cgroup/cpu.max"),
    (
        "clocksource",
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    (
        "governor",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
    ),
    ("no_turbo", "sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("numa_nodes", "sys/devices/system/node/online"),
    ("cpus_online", "sys/devices/system/cpu/online"),
    ("smt", "sys/devices/system/cpu/smt/control"),
    ("thp", "sys/kernel/mm/transparent_hugepage/enabled"),
    (
        "mitigations",
        "sys/devices/system/cpu/vulnerabilities/spectre_v2",
    ),
];

/// The fields that a machine has and nobody sets.
pub const HARDWARE: [&str; 5] = [
    "cpu_model",
    "cpus_online",
    "kernel",
    "microcode",
    "numa_nodes",
];

/// What tells a machine from others, as names and values. `text` reads a file below its root.
pub fn fields(text: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        let known = value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty());
        fields.insert(name.to_owned(), known.unwrap_or_else(|| UNKNOWN.to_owned()));
    };
    for (name, path) in FILES {
        set(name, text(path));
    }
    let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
    set(
        "cpu_model",
        field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "CPU part")),
    );
    set("microcode", field(&cpuinfo, "microcode"));
    let flags = field(&cpuinfo, "flags");
    let guest = |flags: String| flags.split(' ').any(|flag| flag == "hypervisor");
    set("hypervisor", flags.map(|flags| guest(flags).to_string()));
    let status = text("proc/self/status").unwrap_or_default();
    set("cpus_allowed", field(&status, "Cpus_allowed_list"));
    let release = text("proc/sys/kernel/osrelease");
    set("kernel", release.as_deref().map(major_minor));
    fields
}

/// The value of what cannot be read.
pub const UNKNOWN: &str = "unknown";

impl Machine {
    /// The machine below this root, which is `/` outside of tests.
    pub fn read(root: &Path) -> Self {
        let mut fields = fields(|path| fs::read_to_string(root.join(path)).ok());
        fields.insert("arch".to_owned(), std::env::consts::ARCH.to_owned());
        Self {
            class: class(&fields),
            fields,
        }
    }

    /// The fields that differ, with both values.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut names: Vec<&String> = self.fields.keys().chain(other.fields.keys()).collect();
        names.sort();
        names.dedup();
        let value = |machine: &Self, name: &str| {
            machine
                .fields
                .get(name)
                .map_or("absent", String::as_str)
                .to_owned()
        };
        let different = names
            .into_iter()
            .filter(|name| self.fields.get(*name) != other.fields.get(*name));
        different
            .map(|name| {
                format!(
                    "{name}: `{}` and `{}`",
                    value(self, name),
                    value(other, name)
                )
            })
            .collect()
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `6.18.44-foo` is 6.18.
fn major_minor(release: &str) -> String {
    release
        .trim()
        .split('.')
        .take(2)
        .collect::<Vec<&str>>()
        .join(".")
}

/// The first half of the digest of all fields.
fn class(fields: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in fields {
        hasher.update(format!("{name}={value}\n"));
    }
    hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    const CPUINFO: &str = "processor : 0\nmodel name\t: Fast 9000\nflags\t\t: fpu hypervisor sse\n";

    #[test]
    fn the_fields_are_read_and_what_is_not_there_is_unknown() {
        let root = root(&[
            ("proc/cpuinfo", CPUINFO),
            ("proc/sys/kernel/osrelease", "6.18.44-any\n"),
            ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1\n"),
        ]);
        let machine = Machine::read(root.path());
        let check = |name: &str, expect: &str| assert_eq!(machine.fields[name], expect, "{name}");
        check("cpu_model", "Fast 9000");
        check("hypervisor", "true");
        check("kernel", "6.18");
        check("cpus_allowed", "0-1");
        check("governor", "unknown");
    }

    #[test]
    fn another_machine_is_another_class_and_the_fields_say_why() {
        let one = Machine::read(root(&[("proc/cpuinfo", CPUINFO)]).path());
        let other = Machine::read(root(&[("proc/cpuinfo", &CPUINFO.replace("9000", "1"))]).path());
        assert_ne!(one.class, other.class);
        assert_eq!(
            one.differences(&other),
            ["cpu_model: `Fast 9000` and `Fast 1`"]
        );
        assert!(one.differences(&one).is_empty());
    }
}
