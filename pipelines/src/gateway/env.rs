//! What the stages of a run share.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    audit::{AuditFile, Auditor, Open, Shared, Tally},
    cache::Cache,
    clock::Clock,
    policy::{Files, Policies, PolicyError, PolicySet},
    remote::{Remote, UrlError},
};

/// What the stages of a run share. Clones share it, too.
#[derive(Clone, Debug)]
pub struct Env {
    /// What decides.
    pub policies: Arc<Policies>,
    /// What was decided.
    pub cache: Arc<Cache>,
    /// Who else decides.
    pub remote: Option<Remote>,
    /// How long a policy may take.
    pub policy_limit: Duration,
    /// The time that policies see.
    pub clock: Clock,
    /// Whether tenants are held to their rates.
    pub limits_rates: bool,
    /// Where answers are written down.
    pub audit: Option<AuditFile>,
    /// That file, opened to see whether it can be written, until somebody writes to it.
    opened: Arc<Mutex<Option<Open>>>,
    /// What answers there were.
    pub tally: Shared,
    /// What an operator has to know at once.
    pub teller: Teller,
}

/// Is told lines, such as that policies were refused. Clones tell the same.
#[derive(Clone)]
pub struct Teller(Arc<dyn Fn(&str) + Send + Sync>);

impl Teller {
    /// Gives lines to a function, from any thread.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Gives it a line.
    pub fn tell(&self, line: &str) {
        (self.0)(line);
    }
}

impl Default for Teller {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

/// How to decide.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the policies; those that come with the gateway if there is none.
    pub policy: Option<PathBuf>,
    /// How long a policy may take: 100 ms.
    pub policy_limit: Duration,
    /// How many bytes of decisions are kept: 64 MiB.
    pub cache_bytes: u64,
    /// How long they hold: 60 s.
    pub cache_lasts: Duration,
    /// Who else decides, as a URL.
    pub remote: Option<String>,
    /// How long that one may take: 250 ms.
    pub remote_limit: Duration,
    /// Whether tenants are held to their rates: yes.
    pub limits_rates: bool,
    /// Where answers are written down.
    pub audit: Option<AuditFile>,
    /// The time that policies see.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: None,
            policy_limit: Duration::from_millis(100),
            cache_bytes: 64 << 20,
            cache_lasts: Duration::from_secs(60),
            remote: None,
            remote_limit: Duration::from_millis(250),
            limits_rates: true,
            audit: None,
            clock: Clock::System,
        }
    }
}

/// Why there is nothing to decide with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The policies are wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The remote decision point has no URL.
    #[error(transparent)]
    Remote(#[from] UrlError),
    /// Answers cannot be written down.
    #[error("cannot open the audit {}: {why}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
}

impl Config {
    /// The files of the policies.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn files(&self) -> Result<Files, PolicyError> {
        match &self.policy {
            Some(folder) => Ok(Files::read(folder)?),
            None => Ok(Files::built_in()),
        }
    }

    /// Reads and compiles the policies, and makes what the stages share.
    ///
    /// # Errors
    ///
    /// If the policies or the URL are wrong, or the audit cannot be opened.
    pub fn env(&self) -> Result<Env, ConfigError> {
        let set = PolicySet::compile(&self.files()?, None)?;
        let remote = match &self.remote {
            Some(url) => Some(Remote::new(url, self.remote_limit)?),
            None => None,
        };
        let opened = self.audit.as_ref().map(|AuditFile { path, .. }| {
            Open::file(path).map_err(|why| ConfigError::Audit {
                path: path.clone(),
                why,
            })
        });
        let opened = opened.transpose()?;
        Ok(Env {
            policies: Arc::new(Policies::new(set)),
            cache: Arc::new(Cache::new(self.cache_bytes, self.cache_lasts)),
            remote,
            policy_limit: self.policy_limit,
            clock: self.clock,
            limits_rates: self.limits_rates,
            audit: self.audit.clone(),
            opened: Arc::new(Mutex::new(opened)),
            tally: Shared::default(),
            teller: Teller::default(),
        })
    }
}

impl Env {
    /// What answers there were until now.
    pub fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }

    /// Who writes them down.
    pub(super) fn auditor(&self) -> Auditor {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        Auditor::new(
            self.audit.clone(),
            opened.take(),
            self.clock,
            Arc::clone(&self.tally),
            self.teller.clone(),
        )
    }
}
