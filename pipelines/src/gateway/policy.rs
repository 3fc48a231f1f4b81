//! Policies: read, compiled once, and evaluated by an engine of each worker.
//!
//! A folder holds `.rego` files and perhaps a `data.json`. All of them make one set: rules of the package `gateway`, whose rule
//! `decision` is asked for each request, `{"allow": .., "reason": .., "valid_for_s": ..}`, the last of which says how long the
//! decision holds where it depends on the time. Policies see the request as `input`, with the time in UTC as `input.time`.
//!
//! A set that is wrong in any part is refused as a whole, with the file and the place, when it is read: it is parsed, analysed,
//! and asked once.

mod ask;
mod files;
mod outline;
mod set;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use regorus::{Engine, Value};

pub(super) use self::ask::{Unasked, ask};
pub(super) use self::files::paths;
pub use self::{
    files::{Files, ReadError},
    set::{PolicyError, PolicySet},
};
use super::{
    clock::Time,
    request::Request,
    types::{Asked, By, Decision, Judged, Refused, Why},
};

/// The policies that decide at this moment.
#[derive(Debug)]
pub struct Policies(RwLock<Arc<PolicySet>>);

impl Policies {
    /// Begins with a set.
    pub fn new(first: PolicySet) -> Self {
        Self(RwLock::new(Arc::new(first)))
    }

    /// The set that decides now. Whoever holds it goes on with it.
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another set, from the next request on.
    pub fn replace(&self, next: PolicySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// A worker's own engine: evaluating changes it, so workers cannot share one.
#[derive(Default)]
pub struct WorkerEngine {
    /// Of which set, and the engine; none before the first request.
    own: Option<(u64, Engine)>,
}

impl fmt::Debug for WorkerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.own.as_ref().map(|(revision, _)| revision);
        f.debug_struct("WorkerEngine")
            .field("revision", &revision)
            .finish_non_exhaustive()
    }
}

impl WorkerEngine {
    /// The engine of a set; the worker's own, if it has that one.
    fn of(&mut self, set: &PolicySet) -> &mut Engine {
        let stale = self
            .own
            .as_ref()
            .is_none_or(|(own, _)| *own != set.revision);
        if stale {
            self.own = None;
        }
        &mut self
            .own
            .get_or_insert_with(|| (set.revision, set.engine()))
            .1
    }

    /// What a set says about a request at a time, within a time.
    ///
    /// # Errors
    ///
    /// If the policy fails, says nothing, or takes too long.
    pub fn decide(
        &mut self,
        set: &PolicySet,
        request: &Request,
        now: Time,
        limit: Duration,
    ) -> Result<Decision, Why> {
        let input = input_value(request, now).map_err(|why| Why::PolicyFailed(why.to_string()))?;
        match ask(self.of(set), input, limit) {
            Ok(value) => read_decision(&value),
            Err(Unasked::Timeout) => Err(Why::PolicyTimeout(limit)),
            Err(Unasked::Failed(why)) => Err(Why::PolicyFailed(why)),
        }
    }

    /// Decides a request that is on its way.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide).
    pub fn judge(&mut self, asked: Asked, now: Time, limit: Duration) -> Result<Judged, Refused> {
        let policies = Arc::clone(&asked.policies);
        match self.decide(&policies, &asked.request, now, limit) {
            Ok(decision) => Ok(Judged {
                asked,
                decision,
                by: By::Engine,
            }),
            Err(why) => Err(Refused::asked(asked, why)),
        }
    }
}

/// A request as policies see it.
pub(crate) fn input_value(request: &Request, now: Time) -> Result<Value, serde_json::Error> {
    let mut input = Value::new_object();
    if let Ok(fields) = input.as_object_mut() {
        let names = [
            ("tenant", &request.tenant),
            ("subject", &request.subject),
            ("action", &request.action),
            ("resource", &request.resource),
        ];
        for (field, name) in names {
            fields.insert(Value::from(field), Value::from(&**name));
        }
        let context = serde_json::Value::Object(request.context.clone());
        fields.insert(Value::from("context"), serde_json::from_value(context)?);
        fields.insert(Value::from("time"), time(now));
    }
    Ok(input)
}

fn time(now: Time) -> Value {
    let mut time = Value::new_object();
    if let Ok(fields) = time.as_object_mut() {
        for (field, number) in now.fields() {
            fields.insert(Value::from(field), Value::from(number));
        }
    }
    time
}

/// The same as JSON, for whoever is asked remotely.
pub fn input_json(request: &Request, now: Time) -> serde_json::Value {
    let time: serde_json::Map<_, _> = now
        .fields()
        .map(|(field, number)| (field.to_owned(), number.into()))
        .into_iter()
        .collect();
    serde_json::json!({
        "tenant": request.tenant,
        "subject": request.subject,
        "action": request.action,
        "resource": request.resource,
        "context": request.context,
        "time": time,
    })
}

fn read_decision(value: &Value) -> Result<Decision, Why> {
    if *value == Value::Undefined {
        return Err(Why::PolicyFailed(
            "no rule of the policy decides this request".to_owned(),
        ));
    }
    let allow = value["allow"].as_bool().copied().map_err(|_| {
        let shown: String = value.to_string().chars().take(200).collect();
        Why::PolicyFailed(format!(
            "the policy's `allow` is neither true nor false: {shown}"
        ))
    })?;
    let reason = match value["reason"].as_string() {
        Ok(reason) => Arc::from(&**reason),
        Err(_) if allow => Arc::from("allowed"),
        Err(_) => Arc::from("denied"),
    };
    Ok(Decision {
        allow,
        reason,
        valid: value["valid_for_s"].as_f64().ok().and_then(valid_for),
    })
}

/// A time that policies give, as a decision keeps it.
pub(super) fn valid_for(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
