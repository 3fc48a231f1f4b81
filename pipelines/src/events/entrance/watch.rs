//! Changes of files, as events of the kind `filesystem`.
//!
//! What the system tells goes through the parser as every other line does. A directory that disappears, or in whose place
//! another one appears, is told once as a reject and watched again as soon as something has its name. Changes of what this run writes
//! itself are no events: each would make the next one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use pipewright::Input;
use serde_json::json;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{EntranceError, name_of};
use crate::{
    events::{feed::raw, reject::Fault, types::Raw},
    files::{self, Identity},
};

/// How often it is looked whether the directory is still the one that is watched.
const LOOK: Duration = Duration::from_millis(200);

/// A directory that is watched.
#[derive(Debug)]
pub(super) struct Watched(JoinHandle<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watched {
    pub(super) fn begin(
        path: &Path,
        written: &[PathBuf],
        input: &Input<Raw>,
        handle: &Handle,
    ) -> Result<Self, EntranceError> {
        let mut guard = Guard::new(path, written, input);
        let failed = |error| EntranceError::Watch(path.to_owned(), error);
        guard.watch().map_err(failed)?;
        Ok(Self(handle.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                // What tells may wait for the pipeline, which is no work for this thread.
                guard = match tokio::task::spawn_blocking(move || guard.look()).await {
                    Ok(guard) => guard,
                    Err(_) => return,
                };
            }
        })))
    }
}

/// Looks after the watch.
struct Guard {
    path: PathBuf,
    teller: Teller,
    watcher: Option<(RecommendedWatcher, Identity)>,
}

impl Guard {
    fn new(path: &Path, written: &[PathBuf], input: &Input<Raw>) -> Self {
        let own = written.iter().filter_map(|file| told_as(path, file));
        Self {
            path: path.to_owned(),
            teller: Teller {
                source: name_of(path),
                input: input.clone(),
                own: own.collect(),
                told: Arc::default(),
            },
            watcher: None,
        }
    }

    fn watch(&mut self) -> notify::Result<()> {
        let identity = Identity::at(&self.path).map_err(notify::Error::io)?;
        let teller = self.teller.clone();
        let mut watcher = notify::recommended_watcher(move |change| teller.tell(change))?;
        watcher.watch(&self.path, RecursiveMode::Recursive)?;
        self.watcher = Some((watcher, identity));
        Ok(())
    }

    fn look(mut self) -> Self {
        let found = Identity::at(&self.path).ok();
        let watched = self.watcher.as_ref().map(|(_, identity)| *identity);
        if watched.is_some() && watched != found {
            self.watcher = None;
            self.teller.fault(Fault::Gone);
        } else if watched.is_none() && found.is_some() && self.watch().is_ok() {
            self.teller.line("watched again", &self.path);
        }
        self
    }
}

/// What a file below the watched directory is called in what the system tells; nothing for one that lies elsewhere.
fn told_as(watched: &Path, file: &Path) -> Option<PathBuf> {
    let below = files::whole(file).ok()?;
    let below = below.strip_prefix(fs::canonicalize(watched).ok()?).ok()?;
    Some(watched.join(below))
}

/// Sends what is told into the pipeline. It may wait there: then the system keeps what comes, and says so when that is too much.
#[derive(Clone)]
struct Teller {
    source: Arc<str>,
    input: Input<Raw>,
    /// The files below that this run writes.
    own: Arc<[PathBuf]>,
    told: Arc<AtomicU64>,
}

impl Teller {
    fn tell(&self, change: notify::Result<notify::Event>) {
        let change = match change {
            Ok(change) => change,
            Err(error) => return self.fault(Fault::Unreadable(error.to_string())),
        };
        if change.need_rescan() {
            return self.fault(Fault::Missed);
        }
        if let Some(verb) = verb(&change.kind) {
            let others = change.paths.iter().filter(|path| !self.own.contains(path));
            others.for_each(|path| self.line(verb, path));
        }
    }

    fn line(&self, verb: &str, path: &Path) {
        let line = json!({
            "kind": "filesystem",
            "component": "watch",
            "host": self.source,
            "message": format!("{verb} {}", path.display()),
        });
        let text = Ok(line.to_string().into());
        self.send(text);
    }

    fn fault(&self, fault: Fault) {
        self.send(Err(fault));
    }

    fn send(&self, text: Result<bytes::Bytes, Fault>) {
        let number = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        let item = raw(&self.source, number, Instant::now(), text);
        // A pipeline that takes no more ends.
        drop(self.input.send(item));
    }
}

/// What a change is called; nothing for what only reads.
fn verb(kind: &EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::Create(_) => "created",
        EventKind::Modify(ModifyKind::Name(_)) => "renamed",
        EventKind::Modify(ModifyKind::Metadata(_)) => "changed",
        EventKind::Modify(_) => "modified",
        EventKind::Remove(_) => "removed",
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => "written",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_run_writes_is_known_by_its_place_also_before_it_is_there_and_behind_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let [watched, elsewhere] = ["watched", "elsewhere"].map(|name| folder.path().join(name));
        fs::create_dir(&watched).expect("makes");
        fs::create_dir(&elsewhere).expect("makes");
        fs::write(watched.join("there"), "").expect("writes");
        let link = elsewhere.join("link");
        std::os::unix::fs::symlink(watched.join("there"), &link).expect("links");
        let check = |file: &Path, expect: Option<&str>| {
            let expect = expect.map(|name| watched.join(name));
            assert_eq!(told_as(&watched, file), expect, "{}", file.display());
        };
        check(&watched.join("there"), Some("there"));
        check(&watched.join("not yet"), Some("not yet"));
        check(&link, Some("there"));
        check(&elsewhere.join("not yet"), None);
        check(&watched.join("no/folder"), None);
    }
}
