//! A machine to be checked: its files, what is not in files, and how its counters stood a while ago.

mod live;
mod place;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use pipewright::machine::Machine;
use serde::{Deserialize, Serialize};

use crate::Files;

pub(crate) use live::expand;
pub use place::Place;
pub(crate) use place::{IPC_LOCK, PERFMON, SYS_NICE};

/// A machine: this one, or a recorded one.
#[derive(Debug)]
pub struct Host {
    pub(crate) files: Files,
    /// The files of the workspace whose programs run here.
    pub(crate) workspace: Files,
    pub(crate) facts: Facts,
    pub(crate) before: Option<Before>,
    root: PathBuf,
}

/// What no file tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// The system: `linux`.
    pub os: String,
    /// The processor's kind: `x86_64`.
    pub arch: String,
    /// What the hypervisor calls itself, where the processor says that there is one: `KVMKVMKVM`.
    pub hypervisor: Option<String>,
    /// Bytes of a page.
    pub page: Option<u64>,
    /// The features that programs built here require of the processor.
    pub compiled: Vec<String>,
    /// The kernel's configuration, `CONFIG_HZ=250` and so on.
    pub kernel_config: Option<String>,
    /// Is the clock synchronised, and by how many microseconds it may be off?
    pub clock: Option<(bool, u64)>,
    /// Whether a thread got real-time priority 1, or why not.
    pub realtime: Option<Result<(), String>>,
    /// The count of system management interrupts.
    pub smi: Option<u64>,
    /// `rustc -V`.
    pub rustc: Option<String>,
    /// The commit of the workspace, and whether there are changes.
    pub commit: Option<String>,
    /// Where programs are built and run.
    pub folder: Option<String>,
    /// The id of this process, whose work is not that of neighbours.
    pub pid: Option<u32>,
}

/// How counters stood a while ago.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// The text of each file.
    pub texts: BTreeMap<String, String>,
    /// The count of system management interrupts.
    pub smi: Option<u64>,
    /// How long ago that was.
    pub ago: Duration,
}

impl Host {
    /// This machine, and the workspace in a folder.
    pub fn here(workspace: &Path) -> Self {
        Self {
            files: Files::at("/".as_ref()),
            workspace: Files::at(workspace),
            facts: live::facts(workspace),
            before: None,
            root: "/".into(),
        }
    }

    /// A recorded machine: the files below `root`, and those of its workspace.
    pub fn recorded(root: &Path, workspace: &Path, facts: Facts, before: Option<Before>) -> Self {
        Self {
            files: Files::at(root),
            workspace: Files::at(workspace),
            facts,
            before,
            root: root.to_owned(),
        }
    }

    /// Looks at the counters, keeps all cpus that this process may use busy for a while, and remembers how the counters stood:
    /// a hypervisor takes time away only from who wants it.
    pub fn watch(&mut self, time: Duration) {
        self.before = Some(live::watch(&self.files, &self.facts, time));
        self.facts.smi = live::smi();
    }

    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Its cpus.
    pub fn machine(&self) -> Machine {
        Machine::read_at(&self.root)
    }

    /// Where it is: in which guest, container and system.
    pub fn place(&self) -> Place {
        Place::of(self)
    }
}
