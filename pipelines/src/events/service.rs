//! The services: what each wants, where its events go, and what becomes of them when it does not keep up.

use std::{collections::BTreeSet, fmt, io, path::PathBuf, sync::Arc};

use serde::{Deserialize, Deserializer, de};

use super::{
    target::{Append, Count, Target},
    types::{Event, Kind, Severity},
};

/// Events that may wait for a service, if nothing else is said.
pub const QUEUE: u32 = 4096;
/// The most events that may wait for a service.
pub const QUEUE_MOST: u32 = 16 << 20;
/// The most services that there may be: each has a thread of its own.
pub const MOST: usize = 1000;

/// What a service wants. Everything that is said must hold; a filter that says nothing wants everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Of these kinds; of all if there are none.
    pub kinds: BTreeSet<Kind>,
    /// Matters at least so much.
    pub severity: Severity,
    /// Is of this machine.
    pub host: Option<String>,
    /// Is of a component whose name begins so.
    pub component: Option<String>,
    /// Says this somewhere.
    pub contains: Option<String>,
}

impl Filter {
    /// Whether an event of a kind that it wants is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        let named = |name: &Option<String>, holds: fn(&str, &str) -> bool, text: &str| {
            name.as_deref().is_none_or(|name| holds(text, name))
        };
        event.severity >= self.severity
            && named(&self.host, |text, host| text == host, event.host())
            && named(
                &self.component,
                |text, start| text.starts_with(start),
                event.component(),
            )
            && named(
                &self.contains,
                |text, part| text.contains(part),
                event.content(),
            )
    }

    /// Whether it wants events of this kind.
    pub fn wants_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

/// What becomes of an event for a service whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Overflow {
    /// Everybody waits for this service: nothing is lost
    #[default]
    Block,
    /// The event is rejected, and counted among the rejects
    Reject,
    /// The event is dropped
    DropNewest,
    /// The oldest event that waits is dropped
    DropOldest,
    /// The oldest event that matters least is dropped; what matters overtakes
    ShedLowest,
}

/// Where the events of a service go.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// They are counted.
    #[default]
    Count,
    /// To the end of a file, one JSON object in a line.
    File(PathBuf),
    /// To whatever the program says.
    #[serde(skip)]
    Own(Arc<dyn Fn() -> Box<dyn Target> + Send + Sync>),
}

impl Sink {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// If it is a file that cannot be written.
    pub fn open(&self) -> io::Result<Box<dyn Target>> {
        Ok(match self {
            Self::Count => Box::new(Count),
            Self::File(path) => Box::new(Append::open(path)?),
            Self::Own(make) => make(),
        })
    }
}

/// What a service does there.
impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "write {}", path.display()),
            Self::Count | Self::Own(_) => f.write_str("take its events"),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("Count"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Own(_) => f.write_str("Own"),
        }
    }
}

/// A service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, which no other has.
    pub name: String,
    /// What it wants.
    #[serde(default)]
    pub filter: Filter,
    /// What becomes of an event when its queue is full; without it, what the command line says.
    #[serde(default)]
    pub overflow: Option<Overflow>,
    /// How many events may wait; without it, what the command line says.
    #[serde(default, deserialize_with = "queue")]
    pub queue: Option<u32>,
    /// Where its events go.
    #[serde(default)]
    pub sink: Sink,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    services: Vec<Service>,
}

/// What is wrong with a file of services.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServicesError {
    /// It cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// It says something else.
    #[error("{0}:{1}")]
    Wrong(PathBuf, Box<ron::error::SpannedError>),
    /// There are none, or too many.
    #[error("{0}: there are {1} services; there may be 1 to {MOST}")]
    Count(PathBuf, usize),
    /// Two have the same name.
    #[error("{0}: two services are called `{1}`")]
    Twice(PathBuf, String),
    /// The name would not be a name of a file.
    #[error(
        "{0}: a service is called `{1}`; names have letters, digits, `-`, `_` and `.`, and do not begin with one of these"
    )]
    Name(PathBuf, String),
    /// It is no text from this line and column on.
    #[error("{0}:{1}:{2}: is not UTF-8 from here on")]
    NotUtf8(PathBuf, usize, usize),
}

/// Reads a file of services.
///
/// # Errors
///
/// If it cannot be read or does not say what services are; see [`ServicesError`].
pub fn read(path: PathBuf) -> Result<Vec<Service>, ServicesError> {
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(ServicesError::Unreadable(path, error)),
    };
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let (line, column) = end_of(&bytes[..error.valid_up_to()]);
            return Err(ServicesError::NotUtf8(path, line, column));
        }
    };
    let options =
        ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let services = match options.from_str::<File>(text) {
        Ok(File { services }) => services,
        Err(error) => return Err(ServicesError::Wrong(path, error.into())),
    };
    if !(1..=MOST).contains(&services.len()) {
        return Err(ServicesError::Count(path, services.len()));
    }
    let mut names = BTreeSet::new();
    for service in &services {
        if !is_name(&service.name) {
            return Err(ServicesError::Name(path, service.name.clone()));
        }
        if !names.insert(&service.name) {
            return Err(ServicesError::Twice(path, service.name.clone()));
        }
    }
    Ok(services)
}

/// The line and the column behind a text, from 1.
fn end_of(text: &[u8]) -> (usize, usize) {
    let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = text.rsplit(|byte| *byte == b'\n').next();
    let column = String::from_utf8_lossy(last.unwrap_or_default())
        .chars()
        .count()
        + 1;
    (line, column)
}

/// Here and not later, so that a mistake has its place in the file.
fn queue<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let queue = Option::<u32>::deserialize(from)?;
    match queue {
        Some(queue) if !(1..=QUEUE_MOST).contains(&queue) => Err(de::Error::custom(format!(
            "a queue has room for 1 to {QUEUE_MOST} events, not for {queue}"
        ))),
        queue => Ok(queue),
    }
}

/// Names become names of files.
fn is_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 100
        && name.bytes().all(inside)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// So many services with subscriptions of all sorts. The first one, `audit`, wants everything; the others want one kind or two,
/// every fifth of them only what should be looked at.
pub fn examples(count: usize) -> Vec<Service> {
    (0..count).map(example).collect()
}

fn example(at: usize) -> Service {
    let kinds = Kind::ALL;
    let (name, filter) = match at {
        0 => ("audit".to_owned(), Filter::default()),
        _ => {
            let first = kinds[(at - 1) % kinds.len()];
            let mut filter = Filter {
                kinds: BTreeSet::from([first]),
                ..Filter::default()
            };
            if at.is_multiple_of(3) {
                filter.kinds.insert(kinds[at / 3 % kinds.len()]);
            }
            if at.is_multiple_of(5) {
                filter.severity = Severity::Warning;
            }
            (format!("{}-{at}", first.name()), filter)
        }
    };
    Service {
        name,
        filter,
        overflow: None,
        queue: None,
        sink: Sink::Count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: impl AsRef<[u8]>) -> Result<Vec<Service>, ServicesError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("writes");
        read(file.path().to_owned())
    }

    #[test]
    fn services_are_read_from_a_file() {
        let services = written(
            r#"(services: [
                (name: "audit"),
                (
                    name: "alerts",
                    filter: (kinds: [system, database], severity: warning, contains: "fail"),
                    overflow: drop_oldest,
                    queue: 16,
                    sink: file("alerts.ndjson"),
                ),
            ])"#,
        );
        let services = services.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(services.len(), 2);
        assert_eq!(services[0].filter, Filter::default());
        let alerts = &services[1];
        assert_eq!(alerts.overflow, Some(Overflow::DropOldest));
        assert_eq!(alerts.queue, Some(16));
        assert_eq!(alerts.filter.severity, Severity::Warning);
        assert!(alerts.filter.wants_kind(Kind::System));
        assert!(!alerts.filter.wants_kind(Kind::Mcp));
        assert!(matches!(&alerts.sink, Sink::File(path) if path.ends_with("alerts.ndjson")));
    }

    #[test]
    fn a_file_of_services_that_is_wrong_is_refused_with_the_place() {
        let refused = |text: &str, expect: &str| {
            let error = written(text).expect_err(text).to_string();
            assert!(error.contains(expect), "{error}");
        };
        refused("(services: [])", "there are 0 services");
        refused(
            "(services: [(name: \"a\"), (name: \"a\")])",
            "two services are called `a`",
        );
        refused(
            "(services: [(name: \"../a\")])",
            "a service is called `../a`",
        );
        refused(
            "(services: [\n(name: \"a\", queue: 0)])",
            ":2:20-2:21: a queue has room for 1 to 16777216 events, not for 0",
        );
        refused(
            "(services: [(name: \"a\", queue: 99999999)])",
            ":1:32-1:40: a queue has room for 1 to 16777216 events, not for 99999999",
        );
        refused("(services: [\n(name: \"a\", colour: 1)])", ":2:");
        refused("(services: [(name: \"a\", overflow: wait)])", "wait");
        refused(
            "(services: [(name: \"a\", filter: (kinds: [toast]))])",
            "toast",
        );
        let error = written(b"(services: [\n  (name: \"\xc3\xa4\xff").expect_err("it is no text");
        let told = error.to_string();
        assert!(told.ends_with(":2:12: is not UTF-8 from here on"), "{told}");
        let error = read("no/such/file.ron".into()).expect_err("no file");
        assert!(
            error
                .to_string()
                .contains("no/such/file.ron: cannot be read")
        );
    }

    #[test]
    fn a_queue_is_as_long_as_the_pipeline_of_a_service_lets_it_be() {
        let takes = |queue: u32| {
            let pipeline = crate::events::flow::block::pipeline();
            pipeline
                .tuning("", &crate::events::outlet::room(queue))
                .is_ok()
        };
        assert!(takes(1) && takes(QUEUE_MOST));
        assert!(!takes(0) && !takes(QUEUE_MOST + 1));
    }

    #[test]
    fn examples_have_names_of_their_own_and_one_wants_everything() {
        let services = examples(100);
        let names: BTreeSet<_> = services.iter().map(|service| &service.name).collect();
        assert_eq!(names.len(), 100);
        assert!(services.iter().all(|service| is_name(&service.name)));
        assert_eq!(services[0].filter, Filter::default());
        for kind in Kind::ALL {
            let wanting = services
                .iter()
                .filter(|service| service.filter.wants_kind(kind));
            assert!(wanting.count() > 10, "{kind:?}");
        }
    }
}
