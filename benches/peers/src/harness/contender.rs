//! A contender: a name, a kind, and a way to do the work of a case once.

use std::{
    fmt::Debug,
    hint::black_box,
    time::{Duration, Instant},
};

use serde::Serialize;

/// Whose way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// pipewright, as its users write it.
    Ours,
    /// Another library, as its documentation shows it.
    Peer,
    /// What the machine can do: by hand, or computed.
    Limit,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::Peer => "peer",
            Kind::Limit => "limit",
        }
    }
}

/// One value for each measure of the case.
pub(crate) type Sample = Vec<f64>;

/// Does the work once and checks the result.
pub(crate) type Work = Box<dyn FnMut() -> Result<Sample, String>>;

/// One way to do the work of a case.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Or why it cannot run here.
    pub(crate) work: Result<Work, String>,
}

impl Contender {
    pub(crate) fn new(
        kind: Kind,
        name: &'static str,
        work: impl FnMut() -> Result<Sample, String> + 'static,
    ) -> Self {
        Self {
            name,
            kind,
            work: Ok(Box::new(work)),
        }
    }

    pub(crate) fn ours(
        name: &'static str,
        work: impl FnMut() -> Result<Sample, String> + 'static,
    ) -> Self {
        Self::new(Kind::Ours, name, work)
    }

    pub(crate) fn peer(
        name: &'static str,
        work: impl FnMut() -> Result<Sample, String> + 'static,
    ) -> Self {
        Self::new(Kind::Peer, name, work)
    }

    pub(crate) fn limit(
        name: &'static str,
        work: impl FnMut() -> Result<Sample, String> + 'static,
    ) -> Self {
        Self::new(Kind::Limit, name, work)
    }

    /// A row that says why it has no value.
    pub(crate) fn skipped(kind: Kind, name: &'static str, why: impl Into<String>) -> Self {
        Self {
            name,
            kind,
            work: Err(why.into()),
        }
    }
}

/// How large a case is: as measured, or so small that only its correctness shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    Quick,
}

impl Scale {
    pub(crate) fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }

    /// Work that is over sooner is repeated until this time is full, so that a clock's or scheduler's hiccup is a small
    /// part of a sample.
    fn sample_time(self) -> Duration {
        self.of(Duration::from_millis(100), Duration::ZERO)
    }

    /// Repeats `run` for the time of a sample and gives the seconds of one run.
    fn seconds<T: PartialEq + Debug>(
        self,
        expected: &T,
        mut run: impl FnMut() -> T,
    ) -> Result<f64, String> {
        let begun = Instant::now();
        let mut runs = 0u32;
        loop {
            same(&black_box(run()), expected)?;
            runs += 1;
            let spent = begun.elapsed();
            if spent >= self.sample_time() {
                return Ok(spent.as_secs_f64() / f64::from(runs));
            }
        }
    }

    /// Millions of items a second, for a run that takes `items`.
    pub(crate) fn rate<T: PartialEq + Debug>(
        self,
        items: u64,
        expected: &T,
        run: impl FnMut() -> T,
    ) -> Result<Sample, String> {
        Ok(vec![items as f64 / self.seconds(expected, run)? / 1e6])
    }

    /// Nanoseconds an item, for a run that takes `items`.
    pub(crate) fn nanos<T: PartialEq + Debug>(
        self,
        items: u64,
        expected: &T,
        run: impl FnMut() -> T,
    ) -> Result<Sample, String> {
        Ok(vec![self.seconds(expected, run)? * 1e9 / items as f64])
    }

    /// Seconds of one run.
    pub(crate) fn time<T: PartialEq + Debug>(
        self,
        expected: &T,
        run: impl FnMut() -> T,
    ) -> Result<Sample, String> {
        Ok(vec![self.seconds(expected, run)?])
    }
}

/// Is it what it has to be?
pub(crate) fn same<T: PartialEq + Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let (mut found, mut expected) = (format!("{found:?}"), format!("{expected:?}"));
    found.truncate(200);
    expected.truncate(200);
    Err(format!(
        "wrong result: it has to be {expected}, and is {found}"
    ))
}
