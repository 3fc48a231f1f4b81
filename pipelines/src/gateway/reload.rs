//! Policies that change while a run goes on.
//!
//! A thread reads the folder's files now and then, which for some small files costs less than asking how to be told of changes on
//! whatever file system they lie. When their texts differ from those that were read last, they are compiled, and the whole set
//! replaces the old one at once; what is wrong leaves the old one in place, and is told once.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::{
    env::Teller,
    policy::{Files, Policies, PolicyError, PolicySet},
};

/// What became of the policies' files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Sets that replaced another one.
    pub loaded: u64,
    /// Sets that were refused.
    pub refused: u64,
    /// Why the last one was, if no later one was loaded.
    pub wrong: Option<String>,
}

/// Looks after a folder until it is dropped.
pub struct Reloader {
    seen: Arc<Mutex<Reloads>>,
    /// Dropped, it ends the thread.
    end: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The files that were read last.
struct Folder {
    path: PathBuf,
    last: Option<Files>,
    policies: Arc<Policies>,
    seen: Arc<Mutex<Reloads>>,
    teller: Teller,
}

impl Reloader {
    /// Reads the folder each time that `every` has passed. The teller is told when policies were loaded or refused.
    ///
    /// # Errors
    ///
    /// If the system starts no thread.
    pub fn start(
        path: PathBuf,
        first: Files,
        policies: Arc<Policies>,
        every: Duration,
        teller: Teller,
    ) -> io::Result<Self> {
        let seen = Arc::<Mutex<Reloads>>::default();
        let mut folder = Folder {
            path,
            last: Some(first),
            policies,
            seen: Arc::clone(&seen),
            teller,
        };
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("policies".to_owned())
            .spawn(move || {
                while ended.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                    folder.look();
                }
            })?;
        Ok(Self {
            seen,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// What became of the files until now.
    pub fn seen(&self) -> Reloads {
        lock(&self.seen).clone()
    }

    /// A handle that tells the same to others.
    pub fn handle(&self) -> Seen {
        Seen(Arc::clone(&self.seen))
    }
}

/// Tells what became of the files.
#[derive(Clone, Debug)]
pub struct Seen(Arc<Mutex<Reloads>>);

impl Seen {
    /// What became of them until now.
    pub fn seen(&self) -> Reloads {
        lock(&self.0).clone()
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It has told what was wrong.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

impl Folder {
    /// Loads what has changed.
    fn look(&mut self) {
        let files = match Files::read(&self.path) {
            Ok(files) if self.last.as_ref() == Some(&files) => return,
            Ok(files) => files,
            Err(error) => {
                self.last = None;
                return self.refuse(&PolicyError::from(error));
            }
        };
        let before = self.policies.current();
        match PolicySet::compile(&files, Some(&before)) {
            Ok(set) => self.load(set),
            Err(error) => self.refuse(&error),
        }
        self.last = Some(files);
    }

    fn load(&self, set: PolicySet) {
        let revision = set.revision;
        self.policies.replace(set);
        {
            let mut seen = lock(&self.seen);
            seen.loaded += 1;
            seen.wrong = None;
        }
        self.teller
            .tell(&format!("policies: set {revision} is loaded"));
    }

    fn refuse(&self, error: &PolicyError) {
        let error = error.to_string();
        let mut seen = lock(&self.seen);
        if seen.wrong.as_ref() == Some(&error) {
            return;
        }
        seen.refused += 1;
        seen.wrong = Some(error.clone());
        drop(seen);
        let revision = self.policies.current().revision;
        self.teller
            .tell(&format!("policies: set {revision} stays: {error}"));
    }
}

fn lock(seen: &Mutex<Reloads>) -> MutexGuard<'_, Reloads> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const POLICY: &str = "package gateway\ndecision := {\"allow\": true, \"reason\": \"one\"}\n";

    fn folder(path: &Path) -> Folder {
        let files = Files::read(path).expect("it can be read");
        let set = PolicySet::compile(&files, None).expect("it is right");
        Folder {
            path: path.to_owned(),
            last: Some(files),
            policies: Arc::new(Policies::new(set)),
            seen: Arc::default(),
            teller: Teller::default(),
        }
    }

    #[test]
    fn what_is_wrong_leaves_the_old_policies_and_is_counted_once() {
        let at = tempfile::tempdir().expect("a folder");
        let file = at.path().join("policy.rego");
        let write = |text: &str| fs::write(&file, text).expect("it can be written");
        write(POLICY);
        let mut folder = folder(at.path());
        let mut check = |revision, loaded, refused, wrong: Option<&str>| {
            folder.look();
            folder.look();
            let seen = lock(&folder.seen).clone();
            assert_eq!(folder.policies.current().revision, revision, "{seen:?}");
            assert_eq!((seen.loaded, seen.refused), (loaded, refused), "{seen:?}");
            match (wrong, &seen.wrong) {
                (None, None) => {}
                (Some(wrong), Some(found)) => assert!(found.contains(wrong), "{found}"),
                _ => panic!("{seen:?}"),
            }
        };
        check(1, 0, 0, None);
        write(&POLICY.replace("true", "tru e"));
        check(1, 0, 1, Some("policy.rego:2:"));
        write(&POLICY.replace("one", "two"));
        check(2, 1, 1, None);
        fs::remove_file(&file).expect("it is there");
        check(2, 1, 2, Some("has no file that ends in `.rego`"));
        write(&POLICY.replace("one", "two"));
        check(3, 2, 2, None);
        write("package other\n");
        check(3, 2, 3, Some("`package gateway`"));
        write(POLICY);
        fs::write(at.path().join("data.json"), "{\"tenants\": 7}").expect("it can be written");
        check(3, 2, 4, Some("data.json:1:13: `tenants` is not an object"));
        fs::write(at.path().join("data.json"), "{}").expect("it can be written");
        check(4, 3, 4, None);
    }

    #[test]
    fn a_folder_that_is_gone_is_told_and_loaded_again_when_it_is_back() {
        let at = tempfile::tempdir().expect("a folder");
        let path = at.path().join("policies");
        fs::create_dir(&path).expect("a folder");
        fs::write(path.join("policy.rego"), POLICY).expect("it can be written");
        let mut folder = folder(&path);
        fs::remove_dir_all(&path).expect("it is there");
        folder.look();
        let seen = lock(&folder.seen).clone();
        assert!(
            seen.wrong
                .is_some_and(|wrong| wrong.contains("cannot read"))
        );
        fs::create_dir(&path).expect("a folder");
        fs::write(path.join("policy.rego"), POLICY).expect("it can be written");
        folder.look();
        assert_eq!(folder.policies.current().revision, 2);
    }
}
