//! Trials, each in a fresh process of a binary.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    error::Error,
    guards::{Guards, Reason, reasons},
    machine::{self, Counters},
    protocol::{Answer, Listing, PROTOCOL, Request},
    random::Random,
    stats::median,
};

/// A binary that speaks [`crate::protocol`].
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    path: PathBuf,
}

/// A trial that was made, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    pub(crate) answer: Answer,
    pub(crate) reasons: Vec<Reason>,
    /// What the canary took after it; none without guards.
    pub(crate) canary: Option<Duration>,
}

/// What the canary took around these trials, in nanoseconds: their median.
pub(crate) fn canary(trials: &[&Trial]) -> Option<f64> {
    let all = trials.iter().filter_map(|trial| trial.canary);
    let all: Vec<f64> = all.map(|took| took.as_nanos() as f64).collect();
    median(&all)
}

/// A trial that takes so much longer than it should hangs.
const GRACE: Duration = Duration::from_secs(60);

impl Binary {
    pub(crate) fn at(path: &Path) -> Result<Self, Error> {
        match path.is_file() {
            // A name without a folder would be looked for where programs are.
            true => Ok(Self {
                path: std::path::absolute(path)
                    .map_err(|error| Error::file("find", path, &error))?,
            }),
            false => Err(Error::Usage(format!(
                "there is no binary `{}`",
                path.display()
            ))),
        }
    }

    /// A copy below `folder`, under a path that is as long for A as for B.
    pub(crate) fn copied(&self, folder: &Path, side: &str) -> Result<Self, Error> {
        let folder = folder.join(side);
        let path = folder.join("trial");
        let copy = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            fs::copy(&self.path, &path).map(|_| ())
        };
        copy().map_err(|error| Error::file("copy a binary to", &path, &error))?;
        Ok(Self { path })
    }

    /// What it can measure.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let line = self.output(&["list"], GRACE)?;
        let listing: Listing = read(&self.path, &line)?;
        same(&self.path, &listing.protocol)?;
        Ok(listing)
    }

    /// One trial.
    pub(crate) fn run(&self, request: &Request) -> Result<Answer, Error> {
        let text =
            serde_json::to_string(request).map_err(|error| Error::Tool(error.to_string()))?;
        let limit = GRACE + 4 * Duration::from_millis(request.warmup_ms + request.measure_ms);
        let line = self.output(&["run", &text], limit)?;
        answered(&self.path, &line)
    }

    /// What it prints. It is stopped when it takes longer than `limit`.
    fn output(&self, args: &[&str], limit: Duration) -> Result<String, Error> {
        let failed = |error: std::io::Error| Error::file("run", &self.path, &error);
        let mut child = Command::new(&self.path)
            .args(args)
            .env("PIPEWRIGHT_BENCH_PADDING", padding())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut pipes = (child.stdout.take(), child.stderr.take());
        let (ended, over) = mpsc::channel::<()>();
        let (status, out, err, late) = thread::scope(|scope| {
            let err = pipes.1.take().map(|pipe| scope.spawn(move || text(pipe)));
            let out = pipes.0.take().map(|pipe| {
                scope.spawn(move || {
                    let text = text(pipe);
                    drop(ended);
                    text
                })
            });
            // The channel has no message: it closes when the output does.
            let late = over.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = child.kill();
            }
            let status = child.wait();
            let joined = |thread: Option<thread::ScopedJoinHandle<'_, String>>| {
                thread
                    .and_then(|thread| thread.join().ok())
                    .unwrap_or_default()
            };
            (status, joined(out), joined(err), late)
        });
        let status = status.map_err(failed)?;
        let name = self.path.display();
        match (late, status.success()) {
            (true, _) => Err(Error::Tool(format!(
                "`{name}` was stopped: it took longer than {limit:?}"
            ))),
            (_, true) => Ok(out),
            // It says that what was asked is wrong.
            (_, false) if status.code() == Some(2) => Err(Error::Usage(
                err.trim().trim_start_matches("error: ").to_owned(),
            )),
            (_, false) => Err(Error::Tool(format!(
                "`{name}` failed ({status}): {}",
                err.trim()
            ))),
        }
    }
}

/// What a binary answered to a request.
pub(crate) fn answered(path: &Path, line: &str) -> Result<Answer, Error> {
    let answer: Answer = read(path, line)?;
    same(path, &answer.protocol)?;
    Ok(answer)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, line: &str) -> Result<T, Error> {
    serde_json::from_str(line).map_err(|error| {
        Error::Tool(format!(
            "`{}` does not speak `{PROTOCOL}`: {error}",
            path.display()
        ))
    })
}

fn same(path: &Path, protocol: &str) -> Result<(), Error> {
    match protocol == PROTOCOL {
        true => Ok(()),
        false => Err(Error::Tool(format!(
            "`{}` speaks `{protocol}`, and this understands `{PROTOCOL}`",
            path.display()
        ))),
    }
}

fn text(mut pipe: impl Read) -> String {
    let mut text = String::new();
    match pipe.read_to_string(&mut text) {
        Ok(_) => text,
        Err(error) => error.to_string(),
    }
}

/// An environment of another length each time moves the stack: where it lies makes code faster or slower (Mytkowicz et al.,
/// "Producing Wrong Data Without Doing Anything Obviously Wrong!", 2009).
fn padding() -> String {
    // The address of a box differs from call to call and from process to process; its seed need not be repeatable.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.map_or(0, |now| now.as_nanos() as u64);
    " ".repeat((Random(seed).next_u64() % 4096) as usize)
}

/// Makes trials and looks at the machine meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    guards: Option<Guards>,
    /// What the canary took when the machine was last as it had been.
    canary: Cell<Option<Duration>>,
}

impl Watched {
    /// Without guards nothing is a reason to measure again.
    pub(crate) fn new(guards: Option<Guards>) -> Self {
        Self {
            guards,
            canary: Cell::new(None),
        }
    }

    pub(crate) fn trial(&self, binary: &Binary, request: &Request) -> Result<Trial, Error> {
        let Some(guards) = &self.guards else {
            return Ok(Trial {
                answer: binary.run(request)?,
                ..Trial::default()
            });
        };
        let root = Path::new("/");
        let canary = self.canary.take().unwrap_or_else(machine::canary);
        let before = Counters::read(root);
        let answer = binary.run(request)?;
        let meanwhile = before.until(Counters::read(root));
        let (drift, now) = machine::drift(canary, guards.canary_drift, machine::canary);
        let held = drift.abs() <= guards.canary_drift;
        self.canary
            .set(Some(if held { canary.min(now) } else { now }));
        Ok(Trial {
            reasons: reasons(guards, meanwhile, drift, &answer),
            answer,
            canary: Some(now),
        })
    }

    /// A trial that nothing disturbed of what `counts`, of as many tries as the guards allow; or why there is none. `disturbed` counts
    /// those that were, by the reason.
    pub(crate) fn undisturbed(
        &self,
        counts: fn(Reason) -> bool,
        disturbed: &mut BTreeMap<String, usize>,
        mut trial: impl FnMut() -> Result<Trial, Error>,
    ) -> Result<Result<Trial, String>, Error> {
        let tries = 1 + self.guards.as_ref().map_or(0, |guards| guards.repeats);
        let mut why = BTreeSet::new();
        for _ in 0..tries {
            let one = trial()?;
            let reasons = one.reasons.iter().copied();
            let reasons: Vec<Reason> = reasons.filter(|reason| counts(*reason)).collect();
            if reasons.is_empty() {
                return Ok(Ok(one));
            }
            for reason in reasons {
                *disturbed.entry(reason.name().to_owned()).or_default() += 1;
                why.insert(format!("{}: {}", reason.name(), reason.advice()));
            }
        }
        let why: Vec<String> = why.into_iter().collect();
        Ok(Err(format!(
            "a trial was disturbed {tries} times ({})",
            why.join("; ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary that is a script.
    fn script(text: &str) -> (tempfile::TempDir, Binary) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trial");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        let mut permissions = fs::metadata(&path).expect("it is there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(&path, permissions).expect("it is ours");
        let binary = Binary::at(&path).expect("it is there");
        (folder, binary)
    }

    #[test]
    fn what_is_no_trial_says_so() {
        let check = |text: &str, expect: &str| {
            let (_folder, binary) = script(text);
            let error = binary.list().expect_err("it is no trial").to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("echo hello", "does not speak `pipewright.trial/1`");
        check(
            "echo '{\"protocol\":\"pipewright.trial/9\",\"scenarios\":[]}'",
            "speaks `pipewright.trial/9`",
        );
        check("echo oh >&2; exit 7", "oh");
        check(
            "echo 'error: no scenario is called `x`' >&2; exit 2",
            "no scenario is called `x`",
        );
        assert!(Binary::at(Path::new("/nonexistent/trial")).is_err());
    }

    #[test]
    fn a_disturbed_trial_is_made_again_until_the_guards_give_up() {
        let watched = Watched::new(Some(Guards::default()));
        let check = |bad: usize, reason: Reason, expect: Option<&str>, tries: usize| {
            let mut disturbed = BTreeMap::new();
            let mut tried = 0;
            let found = watched.undisturbed(Reason::is_of_machine, &mut disturbed, || {
                tried += 1;
                let is_bad = tried <= bad;
                Ok(Trial {
                    reasons: is_bad.then_some(reason).into_iter().collect(),
                    ..Trial::default()
                })
            });
            let found = found.expect("nothing fails").map(|_| ());
            assert_eq!(tried, tries, "{reason:?}");
            assert_eq!(found.is_err(), expect.is_some(), "{found:?}");
            let why = found.err().unwrap_or_default();
            assert!(why.contains(expect.unwrap_or_default()), "{why}");
            let counted = disturbed.get(reason.name()).copied().unwrap_or(0);
            assert_eq!(
                counted,
                if reason.is_of_machine() {
                    bad.min(3)
                } else {
                    0
                }
            );
        };
        check(0, Reason::Steal, None, 1);
        check(2, Reason::Steal, None, 3);
        check(9, Reason::Steal, Some("disturbed 3 times (steal: the "), 3);
        // It says nothing of the machine.
        check(9, Reason::GeneratorLate, None, 1);
    }

    #[test]
    fn what_hangs_is_stopped() {
        let (_folder, binary) = script("exec sleep 1000");
        let error = binary
            .output(&["list"], Duration::from_millis(50))
            .expect_err("it hangs");
        assert!(error.to_string().contains("was stopped"), "{error}");
    }
}
