//! Recorded machines, in the form that `files.rs` tells; besides, `before:path` is how a counter stood `@ago` seconds before,
//! `workspace:path` a file of the workspace that is used there, and `@name` a fact that stands in no file.

/// What the tests of the runtime read their machines by.
#[path = "../../../../runtime/src/machine/recording.rs"]
mod files;

use std::{fs, path::PathBuf, time::Duration};

use files::{entries, write};

use pipewright_hw::{
    declared::Declaration,
    host::{Before, Facts, Host},
    parse_list,
};
use pipewright_spec::{report::Source, ron::topology};

/// A recorded machine, and the folder that it lies in.
pub(crate) struct Recorded {
    pub(crate) host: Host,
    folder: tempfile::TempDir,
}

impl Recorded {
    /// The folder that stands for the root of the machine.
    #[allow(
        dead_code,
        reason = "not every test that reads recordings writes to them"
    )]
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

/// The machine that is recorded as `machines/{name}.txt`.
pub(crate) fn machine(name: &str) -> Recorded {
    let text = fs::read_to_string(folder().join(format!("{name}.txt"))).expect("a recording");
    recorded(&text)
}

/// Where recordings, pipelines and expectations are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines")
}

/// The pipeline in `machines/{name}.ron`.
pub(crate) fn pipeline(name: &str) -> Declaration {
    let path = folder().join(format!("{name}.ron"));
    let text = fs::read_to_string(path).expect("a pipeline");
    declaration(name, &text)
}

/// The pipeline in the text of a file.
pub(crate) fn declaration(name: &str, text: &str) -> Declaration {
    let file = format!("{name}.ron");
    let model = match topology(&Source::new(file.clone(), text.to_owned())) {
        Ok(model) => model.map_place(&mut |_| ()),
        Err(problems) => panic!("{problems:?}"),
    };
    Declaration::new(file, model)
}

/// Reads a recording.
fn recorded(text: &str) -> Recorded {
    let folder = tempfile::tempdir().expect("a folder for the machine");
    let (root, workspace) = (folder.path().join("root"), folder.path().join("workspace"));
    let (mut facts, mut before, mut ago) = (Facts::default(), Before::default(), None);
    for (path, content) in entries(text) {
        if let Some(name) = path.strip_prefix('@') {
            match name {
                "ago" => ago = Some(Duration::from_secs(content.parse().expect("seconds"))),
                "smi_before" => before.smi = Some(content.parse().expect("a number")),
                name => fact(&mut facts, name, content),
            }
        } else if let Some(path) = path.strip_prefix("before:") {
            for path in expand(path) {
                before.texts.insert(path, content.clone());
            }
        } else if let Some(path) = path.strip_prefix("workspace:") {
            write(&workspace.join(path), &content);
        } else {
            expand(path)
                .iter()
                .for_each(|path| write(&root.join(path), &content));
        }
    }
    let before = ago.map(|ago| Before { ago, ..before });
    Recorded {
        host: Host::recorded(&root, &workspace, facts, before),
        folder,
    }
}

fn fact(facts: &mut Facts, name: &str, value: String) {
    match name {
        "os" => facts.os = value,
        "arch" => facts.arch = value,
        "hypervisor" => facts.hypervisor = Some(value),
        "page" => facts.page = Some(value.parse().expect("bytes")),
        "compiled" => facts.compiled = value.split(' ').map(str::to_owned).collect(),
        "kernel_config" => facts.kernel_config = Some(value),
        "clock" => {
            let (synced, error) = value.split_once(' ').expect("yes or no, and microseconds");
            facts.clock = Some((synced == "yes", error.parse().expect("microseconds")));
        }
        "realtime" => {
            facts.realtime = Some(match value.strip_prefix("no: ") {
                Some(why) => Err(why.to_owned()),
                None => Ok(()),
            })
        }
        "smi" => facts.smi = Some(value.parse().expect("a number")),
        "rustc" => facts.rustc = Some(value),
        "commit" => facts.commit = Some(value),
        "folder" => facts.folder = Some(value),
        name => panic!("no fact is called {name}"),
    }
}

fn expand(path: &str) -> Vec<String> {
    files::expand(path, parse_list)
}
