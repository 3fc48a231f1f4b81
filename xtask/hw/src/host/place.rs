//! Where a machine is: what it runs in decides what it can be asked, and where it can be changed.

use std::fmt;

use super::Host;

/// What the machine runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Not the kernel of this list.
    pub is_linux: bool,
    /// The hypervisor that it is a guest of: `KVM`.
    pub guest: Option<String>,
    /// The container: `docker`, `kubernetes`.
    pub container: Option<String>,
    /// The capabilities of this process, one bit each.
    pub capabilities: u64,
}

/// What hypervisors call themselves, and what they are called.
const HYPERVISORS: [(&str, &str); 11] = [
    ("KVMKVMKVM", "KVM"),
    ("Microsoft Hv", "Hyper-V"),
    ("VMwareVMware", "VMware"),
    ("XenVMMXenVMM", "Xen"),
    ("TCGTCGTCGTCG", "QEMU"),
    ("bhyve bhyve", "bhyve"),
    ("QNXQVMBSQG", "QNX"),
    ("ACRNACRNACRN", "ACRN"),
    ("prl hyperv", "Parallels"),
    ("VBoxVBoxVBox", "VirtualBox"),
    ("SRESRESRESRE", "SRE"),
];

/// Vendors and products of guests, as the firmware names them.
const FIRMWARE: [(&str, &str); 9] = [
    ("amazon ec2", "KVM (EC2)"),
    ("google compute engine", "KVM (Google)"),
    ("qemu", "KVM"),
    ("kvm", "KVM"),
    ("vmware", "VMware"),
    ("xen", "Xen"),
    ("virtualbox", "VirtualBox"),
    ("virtual machine", "Hyper-V"),
    ("openstack", "KVM (OpenStack)"),
];

/// `CAP_IPC_LOCK`.
pub(crate) const IPC_LOCK: u32 = 14;
/// `CAP_SYS_NICE`.
pub(crate) const SYS_NICE: u32 = 23;
/// `CAP_PERFMON`.
pub(crate) const PERFMON: u32 = 38;

impl Place {
    pub(super) fn of(host: &Host) -> Self {
        let status = host.files.text("proc/self/status").unwrap_or_default();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let capabilities =
            line("CapEff:").and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
        Self {
            is_linux: host.facts.os == "linux",
            guest: guest(host),
            container: container(host),
            capabilities: capabilities.unwrap_or(0),
        }
    }

    /// Has this process a capability?
    pub(crate) fn may(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }
}

/// The hypervisor, as far as it can be known.
fn guest(host: &Host) -> Option<String> {
    let release = host
        .files
        .text("proc/sys/kernel/osrelease")
        .unwrap_or_default();
    if release.to_lowercase().contains("microsoft") {
        let two = release.contains("WSL2") || release.contains("microsoft-standard");
        return Some(if two { "WSL2" } else { "WSL1" }.to_owned());
    }
    let firmware = [
        "sys/class/dmi/id/sys_vendor",
        "sys/class/dmi/id/product_name",
    ];
    let firmware: Vec<String> = firmware
        .iter()
        .filter_map(|path| host.files.text(path))
        .map(|text| text.to_lowercase())
        .collect();
    let known = FIRMWARE
        .iter()
        .find(|(part, _)| firmware.iter().any(|text| text.contains(part)));
    // Metal servers of a cloud have its vendor in their firmware, and no hypervisor.
    let flagged = host.files.text("proc/cpuinfo").is_some_and(|text| {
        text.lines()
            .find(|line| line.starts_with("flags"))
            .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
    });
    if let Some(own) = &host.facts.hypervisor {
        let named = HYPERVISORS.iter().find(|(name, _)| own.starts_with(name));
        return Some(named.map_or(own.clone(), |(_, name)| (*name).to_owned()));
    }
    if let Some(kind) = host.files.text("sys/hypervisor/type") {
        return Some(kind);
    }
    if host.files.has("sys/firmware/devicetree/base/hypervisor") {
        return Some("KVM".to_owned());
    }
    let arm = host.facts.arch != "x86_64";
    match known {
        Some((_, name)) if flagged || arm => Some((*name).to_owned()),
        _ if flagged => Some("a hypervisor that does not say its name".to_owned()),
        _ => None,
    }
}

fn container(host: &Host) -> Option<String> {
    let files = &host.files;
    let environ = files.text("proc/self/environ").unwrap_or_default();
    if environ
        .split('\0')
        .any(|one| one.starts_with("KUBERNETES_SERVICE_HOST="))
    {
        return Some("kubernetes".to_owned());
    }
    if files.has(".dockerenv") {
        return Some("docker".to_owned());
    }
    if files.has("run/.containerenv") {
        return Some("podman".to_owned());
    }
    if let Some(name) = files.text("run/systemd/container") {
        return Some(name);
    }
    // The sandbox shows the same kernel everywhere.
    let kernel = files.text("proc/version").unwrap_or_default();
    if kernel.contains("#1 SMP Sun Jan 10 15:06:54 PST 2016") {
        return Some("gvisor".to_owned());
    }
    let groups = files.text("proc/1/cgroup").unwrap_or_default();
    let known = ["docker", "kubepods", "lxc", "containerd"];
    let found = known.iter().find(|name| groups.contains(**name))?;
    Some((*found).to_owned())
}

/// `guest of KVM, container docker`, or `bare metal`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.guest {
            Some(guest) => write!(f, "guest of {guest}")?,
            None => f.write_str("bare metal, as far as can be seen")?,
        }
        match &self.container {
            Some(container) => write!(f, ", container {container}"),
            None => Ok(()),
        }
    }
}
