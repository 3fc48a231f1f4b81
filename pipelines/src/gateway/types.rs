//! What goes from stage to stage.

use std::{fmt, sync::Arc, time::Duration};

use pipewright::{Classify, ErrorClass};
use serde::Serialize;

use super::{policy::PolicySet, request::Request};

/// A request that can be decided, with the policies that decide it: a reload in between does not mix two sets.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its line, if it came from a file.
    pub line: Option<u64>,
    /// The request.
    pub request: Box<Request>,
    /// All of it that decides.
    pub key: Box<str>,
    /// What decides.
    pub policies: Arc<PolicySet>,
}

/// What `lookup` found; the variants are its doors.
#[derive(Debug)]
pub enum Looked {
    /// An answer that still holds.
    Hit(Decided),
    /// To be asked of the remote decision point.
    Remote(Asked),
    /// To be decided here.
    Local(Asked),
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// May it?
    pub allow: bool,
    /// Why, or why not, in the policy's words.
    pub reason: Arc<str>,
    /// How long it holds, if the policy says so: one that looked at the time does.
    pub valid: Option<Duration>,
}

/// A request that was decided just now.
#[derive(Debug)]
pub struct Judged {
    /// What was asked.
    pub asked: Asked,
    /// What a policy said.
    pub decision: Decision,
    /// Which one.
    pub by: By,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A decision of before, that still holds.
    Cache,
    /// The engine in this process.
    Engine,
    /// The remote decision point.
    Remote,
    /// No policy: the request was refused.
    Gateway,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A policy decided.
    Decided,
    /// The text is no request.
    Malformed,
    /// A field is not what it may be.
    Invalid,
    /// The tenant asks too often.
    RateLimited,
    /// The policy took too long.
    PolicyTimeout,
    /// The policy failed, or said nothing.
    PolicyFailed,
    /// The answer could not be written down.
    AuditUnavailable,
}

impl Code {
    /// The word in answers, audits and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate_limited",
            Self::PolicyTimeout => "policy_timeout",
            Self::PolicyFailed => "policy_failed",
            Self::AuditUnavailable => "audit_unavailable",
        }
    }
}

/// Whether it may, and why: what whoever asked gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The request's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Arc<str>>,
    /// Its line, if it came from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// May it? Never without a policy that says so.
    pub allow: bool,
    /// What kind of answer it is.
    pub code: Code,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Who decided.
    pub by: By,
    /// Which policies did: they are counted from 1, one more with each reload; 0 if none was asked.
    pub policy: u64,
    /// After so many milliseconds it is worth asking again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// An answer on its way to the audit, with its request if that could be read.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What was asked.
    pub request: Option<Box<Request>>,
    /// What was decided.
    pub answer: Answer,
}

impl Decided {
    /// What a policy decided about a request.
    pub fn of(asked: Asked, decision: &Decision, by: By) -> Self {
        let Asked {
            line,
            mut request,
            key: _,
            policies,
        } = asked;
        let answer = Answer {
            id: request.id.take().map(Arc::from),
            line,
            allow: decision.allow,
            code: Code::Decided,
            reason: Arc::clone(&decision.reason),
            by,
            policy: policies.revision,
            retry_after_ms: None,
        };
        Self {
            request: Some(request),
            answer,
        }
    }
}

/// A request that no policy decided, and why.
#[derive(Debug)]
pub struct Refused(Box<(Option<Box<Request>>, Option<u64>, Why)>);

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The text is no request.
    #[error("{0}")]
    Malformed(String),
    /// A field is not what it may be.
    #[error("{0}")]
    Invalid(String),
    /// The tenant asks too often.
    #[error("the tenant's rate is reached")]
    RateLimited {
        /// When it may go on.
        retry_after: Duration,
    },
    /// The policy took too long.
    #[error("the policy took longer than {0:?}")]
    PolicyTimeout(Duration),
    /// The policy failed, or said nothing.
    #[error("{0}")]
    PolicyFailed(String),
}

impl Refused {
    /// Refuses what could not be read.
    pub fn unread(line: Option<u64>, wrong: String) -> Self {
        Self(Box::new((None, line, Why::Malformed(wrong))))
    }

    /// Refuses a request.
    pub fn of(request: Request, line: Option<u64>, why: Why) -> Self {
        Self(Box::new((Some(Box::new(request)), line, why)))
    }

    /// Refuses a request that was on its way.
    pub fn asked(asked: Asked, why: Why) -> Self {
        Self(Box::new((Some(asked.request), asked.line, why)))
    }

    /// Why.
    pub fn why(&self) -> &Why {
        &self.0.2
    }
}

impl From<Refused> for Decided {
    fn from(refused: Refused) -> Self {
        let (mut request, line, why) = *refused.0;
        let code = match why {
            Why::Malformed(_) => Code::Malformed,
            Why::Invalid(_) => Code::Invalid,
            Why::RateLimited { .. } => Code::RateLimited,
            Why::PolicyTimeout(_) => Code::PolicyTimeout,
            Why::PolicyFailed(_) => Code::PolicyFailed,
        };
        let retry_after_ms = match why {
            // Rounded up: before that it would be in vain.
            Why::RateLimited { retry_after } => Some(
                retry_after
                    .as_micros()
                    .div_ceil(1_000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            ),
            _ => None,
        };
        let id = request.as_mut().and_then(|request| request.id.take());
        let answer = Answer {
            id: id.map(Arc::from),
            line,
            allow: false,
            code,
            reason: why.to_string().into(),
            by: By::Gateway,
            policy: 0,
            retry_after_ms,
        };
        Self { request, answer }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why().fmt(f)
    }
}

/// A request that the remote decision point gave no answer to. The engine here answers it.
#[derive(Debug)]
pub struct Unanswered {
    /// The request, as it was.
    pub asked: Box<Asked>,
    /// What an answer was missing for.
    pub class: ErrorClass,
    /// In words.
    pub why: String,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer: {}", self.why)
    }
}

impl Classify for Unanswered {
    fn class(&self) -> ErrorClass {
        self.class
    }
}
