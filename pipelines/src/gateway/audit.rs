//! The audit: every answer is written down before anybody gets it.
//!
//! One JSON object a line. A batch of answers is one `write`; the system has them then, so that they outlive this process, though
//! not a power cut. What cannot be written is not answered as it was decided: the answer becomes a denial with the code
//! `audit_unavailable`, which says to ask again, and the next batch is tried anew, so that all goes on once there is room. Of a
//! line that was written in part nothing is left, where the file can be shortened.
//!
//! **Rotation.** A file that would become longer than it may is renamed to `NAME.1`, that to `NAME.2`, and so on; the oldest goes.
//! Others may rename or remove it as well, as `logrotate` does: it is made anew for the next batch.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

use crate::files::Identity;

use super::{
    clock::Clock,
    env::Teller,
    types::{Answer, By, Code, Decided},
};

/// Where answers are written down.
#[derive(Clone, Debug)]
pub struct AuditFile {
    /// The file.
    pub path: PathBuf,
    /// How long it may become, in bytes, before it is rotated.
    pub most_bytes: u64,
    /// How many older ones are kept.
    pub keep: u32,
}

impl AuditFile {
    /// All files that it writes: the one that it has, and the older ones.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let older = (1..=self.keep).map(|n| self.older(n));
        [self.path.clone()].into_iter().chain(older)
    }

    /// The name of an older one, of which the youngest is the first.
    fn older(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

/// What answers there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub answers: u64,
    /// Of these, those that allow.
    pub allowed: u64,
    /// By their kind.
    pub codes: BTreeMap<Code, u64>,
    /// By who decided.
    pub by: BTreeMap<By, u64>,
    /// Lines that were written to the audit.
    pub audited: u64,
    /// Batches that could not be written.
    pub failed_writes: u64,
    /// Files that were rotated.
    pub rotated: u64,
    /// Why the last write failed, if it did.
    pub failing: Option<String>,
}

/// A tally that is counted by one and read by others.
pub type Shared = Arc<Mutex<Tally>>;

/// Writes answers down, and counts them.
#[derive(Debug)]
pub struct Auditor {
    file: Option<AuditFile>,
    open: Option<Open>,
    clock: Clock,
    tally: Shared,
    teller: Teller,
    lines: Vec<u8>,
}

/// The file as it is written to.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    identity: Identity,
    bytes: u64,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(flatten)]
    answer: &'a Answer,
}

impl Auditor {
    /// Writes to a file, which may be open already, or only counts. The teller is told when the file cannot be written any more, and
    /// when it can be again.
    pub(super) fn new(
        file: Option<AuditFile>,
        open: Option<Open>,
        clock: Clock,
        tally: Shared,
        teller: Teller,
    ) -> Self {
        Self {
            file,
            open,
            clock,
            tally,
            teller,
            lines: Vec::new(),
        }
    }

    /// Writes answers down. Those that cannot be become denials.
    pub fn write(&mut self, answers: &mut [Decided]) {
        let written = self.append(answers);
        if let Err(error) = &written {
            let reason: Arc<str> = format!("the audit cannot be written: {error}").into();
            for decided in &mut *answers {
                decided.answer.deny_unaudited(Arc::clone(&reason));
            }
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match &written {
            Ok(rotated) => {
                tally.rotated += u64::from(*rotated);
                tally.audited += self.file.as_ref().map_or(0, |_| answers.len() as u64);
            }
            Err(_) => tally.failed_writes += 1,
        }
        let failing = written.err().map(|error| error.to_string());
        let before = std::mem::replace(&mut tally.failing, failing.clone());
        answers
            .iter()
            .for_each(|decided| tally.count(&decided.answer));
        drop(tally);
        self.tell(before.is_some(), failing);
    }

    /// Tells when it begins and when it is over.
    fn tell(&self, before: bool, failing: Option<String>) {
        let Some(AuditFile { path, .. }) = &self.file else {
            return;
        };
        let path = path.display();
        match failing {
            Some(why) if !before => self.teller.tell(&format!(
                "the audit {path} cannot be written, and everything is denied: {why}"
            )),
            None if before => self
                .teller
                .tell(&format!("the audit {path} is written again")),
            _ => {}
        }
    }

    /// Appends lines; says whether the file was rotated before.
    fn append(&mut self, answers: &[Decided]) -> io::Result<bool> {
        let Some(settings) = &self.file else {
            return Ok(false);
        };
        self.lines.clear();
        let time = self.clock.now().to_string();
        for decided in answers {
            serde_json::to_writer(&mut self.lines, &line(&time, decided))?;
            self.lines.push(b'\n');
        }
        let more = self.lines.len() as u64;
        let is_full = |open: &Open| open.bytes > 0 && open.bytes + more > settings.most_bytes;
        let mut open = match self.open.take() {
            Some(open) if open.is_at(&settings.path) => open,
            _ => Open::file(&settings.path)?,
        };
        let rotates = is_full(&open);
        if rotates {
            rotate(settings)?;
            open = Open::file(&settings.path)?;
        }
        open.append(&self.lines)?;
        self.open = Some(open);
        Ok(rotates)
    }
}

impl Open {
    /// Opens it; it is made if it is not there.
    ///
    /// # Errors
    ///
    /// If the system does not let it.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            file,
            identity: Identity::of(&metadata),
            bytes: metadata.len(),
        })
    }

    /// Whether nobody has renamed or removed it.
    fn is_at(&self, path: &Path) -> bool {
        Identity::at(path).is_ok_and(|found| found == self.identity)
    }

    /// Appends whole lines, or leaves nothing of them.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match self.file.write_all(lines) {
            Ok(()) => {
                self.bytes += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What is no file, such as a device, cannot be shortened, and has no half lines either.
                let _ = self.file.set_len(self.bytes);
                Err(error)
            }
        }
    }
}

fn line<'a>(time: &'a str, decided: &'a Decided) -> Line<'a> {
    let request = decided.request.as_deref();
    Line {
        time,
        tenant: request.map(|request| &*request.tenant),
        subject: request.map(|request| &*request.subject),
        action: request.map(|request| &*request.action),
        resource: request.map(|request| &*request.resource),
        answer: &decided.answer,
    }
}

/// `NAME` becomes `NAME.1`, `NAME.1` becomes `NAME.2`, and the last one goes.
fn rotate(settings: &AuditFile) -> io::Result<()> {
    if settings.keep == 0 {
        return fs::remove_file(&settings.path);
    }
    for n in (1..settings.keep).rev() {
        match fs::rename(settings.older(n), settings.older(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(&settings.path, settings.older(1))
}

impl Answer {
    /// Nobody gets an answer that is written down nowhere.
    fn deny_unaudited(&mut self, reason: Arc<str>) {
        self.allow = false;
        self.code = Code::AuditUnavailable;
        self.reason = reason;
        self.retry_after_ms = Some(1_000);
    }
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        self.answers += 1;
        self.allowed += u64::from(answer.allow);
        *self.codes.entry(answer.code).or_default() += 1;
        *self.by.entry(answer.by).or_default() += 1;
    }

    /// How many answers of a kind there were.
    pub fn of(&self, code: Code) -> u64 {
        self.codes.get(&code).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::gateway::{
        env::Config,
        types::{Refused, Why},
    };

    fn decided(n: usize) -> Decided {
        Decided::from(Refused::unread(Some(n as u64), format!("line {n}")))
    }

    fn auditor(path: &Path, most_bytes: u64, keep: u32) -> (Auditor, Shared) {
        let file = AuditFile {
            path: path.to_owned(),
            most_bytes,
            keep,
        };
        let tally = Shared::default();
        let clock = Clock::Fixed("2026-01-05T10:00:00Z".parse().expect("a time"));
        let (told, teller) = (Arc::clone(&tally), Teller::default());
        let auditor = Auditor::new(Some(file), None, clock, told, teller);
        (auditor, tally)
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a JSON object"))
            .collect()
    }

    #[test]
    fn each_answer_is_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.ndjson");
        let (mut auditor, tally) = auditor(&path, 1 << 20, 3);
        let request =
            r#"{"id":"r1","tenant":"acme","subject":"ann","action":"read","resource":"doc:1"}"#;
        let request = serde_json::from_str(request).expect("a request");
        let why = Why::RateLimited {
            retry_after: std::time::Duration::from_micros(1_500),
        };
        let refused = Refused::of(request, None, why);
        auditor.write(&mut [decided(1), refused.into()]);
        let found = lines(&path);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["line"], 1);
        assert_eq!(found[0]["code"], "malformed");
        let expect = serde_json::json!({
            "time": "2026-01-05T10:00:00.000Z", "id": "r1",
            "tenant": "acme", "subject": "ann", "action": "read", "resource": "doc:1",
            "allow": false, "code": "rate_limited", "reason": "the tenant's rate is reached",
            "by": "gateway", "policy": 0, "retry_after_ms": 2,
        });
        assert_eq!(found[1], expect);
        let tally = tally.lock().expect("nobody panics").clone();
        assert_eq!((tally.answers, tally.audited, tally.allowed), (2, 2, 0));
        assert_eq!(
            (tally.of(Code::Malformed), tally.of(Code::RateLimited)),
            (1, 1)
        );
    }

    #[test]
    fn what_was_opened_to_try_it_is_what_is_written_to_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.ndjson");
        let config = Config {
            audit: Some(AuditFile {
                path: path.clone(),
                most_bytes: 1 << 20,
                keep: 1,
            }),
            ..Config::default()
        };
        let env = config.env().expect("it can be opened");
        let opened = || env.auditor().open.map(|open| open.identity);
        let there = Identity::at(&path).expect("it is made");
        assert_eq!(opened(), Some(there));
        assert_eq!(opened(), None, "who comes later opens it again");
    }

    #[test]
    fn a_file_is_rotated_and_no_line_is_lost_but_with_the_oldest_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.ndjson");
        let (mut auditor, tally) = auditor(&path, 1_000, 2);
        for n in 0..100 {
            auditor.write(&mut [decided(n)]);
        }
        let file = |n: u32| folder.path().join(format!("audit.ndjson.{n}"));
        let all = [file(2), file(1), path.clone()];
        let found: Vec<_> = all.iter().flat_map(|path| lines(path)).collect();
        let numbers: Vec<_> = found.iter().map(|line| line["line"].as_u64()).collect();
        let first = 100 - numbers.len() as u64;
        assert!((first..100).map(Some).eq(numbers), "{first}");
        assert!(!file(3).exists());
        let bytes = all.map(|path| fs::metadata(path).expect("it is there").len());
        assert!(bytes.iter().all(|bytes| *bytes <= 1_000), "{bytes:?}");
        let tally = tally.lock().expect("nobody panics").clone();
        assert_eq!(tally.audited, 100);
        assert!(tally.rotated >= 2, "{tally:?}");
    }

    #[test]
    fn a_restart_goes_on_in_the_same_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.ndjson");
        for n in 0..3 {
            auditor(&path, 1 << 20, 1).0.write(&mut [decided(n)]);
        }
        assert_eq!(lines(&path).len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_renamed_or_removed_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, moved] = ["audit.ndjson", "moved"].map(|name| folder.path().join(name));
        let (mut auditor, tally) = auditor(&path, 1 << 20, 1);
        auditor.write(&mut [decided(1)]);
        fs::rename(&path, &moved).expect("it is there");
        auditor.write(&mut [decided(2)]);
        assert_eq!((lines(&moved).len(), lines(&path).len()), (1, 1));
        fs::remove_file(&path).expect("it is there");
        auditor.write(&mut [decided(3)]);
        assert_eq!(lines(&path)[0]["line"], 3);
        assert_eq!(tally.lock().expect("nobody panics").audited, 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_is_denied_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.ndjson");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let (mut auditor, tally) = auditor(&path, 1 << 20, 1);
        let told = Arc::<Mutex<Vec<String>>>::default();
        let lines_told = Arc::clone(&told);
        auditor.teller = Teller::new(move |line| {
            lines_told
                .lock()
                .expect("nobody panics")
                .push(line.to_owned());
        });
        let mut batch = [decided(1), decided(2)];
        batch[0].answer.allow = true;
        auditor.write(&mut batch);
        for decided in &batch {
            let answer = &decided.answer;
            assert_eq!((answer.allow, answer.code), (false, Code::AuditUnavailable));
            assert!(answer.reason.contains("No space left"), "{}", answer.reason);
            assert_eq!(answer.retry_after_ms, Some(1_000));
        }
        let failing = tally.lock().expect("nobody panics").clone();
        assert_eq!((failing.audited, failing.failed_writes), (0, 1));
        assert!(failing.failing.is_some());
        fs::remove_file(&path).expect("it is there");
        auditor.write(&mut [decided(3)]);
        assert_eq!(lines(&path).len(), 1);
        assert_eq!(tally.lock().expect("nobody panics").failing, None);
        auditor.write(&mut [decided(4)]);
        let told = told.lock().expect("nobody panics");
        assert_eq!(
            told.len(),
            2,
            "when it begins and when it is over: {told:?}"
        );
        assert!(told[0].contains("No space left") && told[1].ends_with("again"));
    }
}
