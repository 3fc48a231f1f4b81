//! Classes of tenants: how urgent their requests are, and how many there may be.
//!
//! They stand in the policies' `data.json`, beside what the policies read, and change with them:
//!
//! ```json
//! {
//!   "classes": {"gold": {"priority": "high", "rate_per_s": 5000, "burst": 500}},
//!   "tenants": {"acme": {"class": "gold"}}
//! }
//! ```
//!
//! A tenant without a class, or one that nobody knows, has the class `default`: priority `normal`, without a limit, unless `classes`
//! says something else. All tenants that nobody knows share one rate, so that making names up gives no more.

use std::{collections::HashMap, sync::Arc, time::Duration};

use pipewright::{Priority, rate::KeyedRateLimiter};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The class of whoever has none.
const DEFAULT: &str = "default";
/// Tenants of a class whose rates are known at a time; see [`KeyedRateLimiter`].
const TENANTS: usize = 4_096;
/// The key of the rate that unknown tenants share: no tenant has this name.
const UNKNOWN: &str = "";

/// Who the tenants are.
#[derive(Debug)]
pub struct Classes {
    classes: Vec<Class>,
    /// The class of each tenant, by its place.
    tenants: HashMap<String, usize>,
    /// The place of the class `default`.
    default: usize,
}

/// A class.
#[derive(Clone, Debug)]
struct Class {
    name: String,
    spec: Spec,
    priority: Priority,
    /// A rate for each of its tenants, if there is a limit.
    limiter: Option<Arc<KeyedRateLimiter<str>>>,
}

/// A class as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    rate_per_s: Option<u32>,
    #[serde(default)]
    burst: Option<u32>,
}

/// What the data says about tenants that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassesError {
    /// Something has another form.
    #[error("`{at}`: {why}")]
    Shape {
        /// Where, as a path of keys.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// A lane that there is not.
    #[error(
        "`classes.{class}.priority` is `{found}`\nhelp: write `critical`, `high`, `normal` or `low`"
    )]
    Priority {
        /// The class.
        class: String,
        /// What stands there.
        found: String,
    },
    /// A rate that lets nobody through.
    #[error("`classes.{class}.{field}` must be at least 1")]
    Zero {
        /// The class.
        class: String,
        /// The number.
        field: &'static str,
    },
    /// A burst of a rate that there is not.
    #[error(
        "`classes.{0}` has a `burst` and no `rate_per_s`\nhelp: write both, or neither for no limit"
    )]
    NoRate(String),
    /// A class that is not there.
    #[error("tenant `{tenant}` has the class `{class}`, which is not among `classes`")]
    NoClass {
        /// The tenant.
        tenant: String,
        /// Its class.
        class: String,
    },
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            classes: vec![Class::unlimited()],
            tenants: HashMap::new(),
            default: 0,
        }
    }
}

impl Classes {
    /// Reads them in the policies' data. A class that is as it was before keeps what its tenants have taken of their rates.
    ///
    /// # Errors
    ///
    /// If something there cannot be.
    pub fn read(data: &Map<String, Value>, before: Option<&Self>) -> Result<Self, ClassesError> {
        let mut places = HashMap::new();
        let mut found = Self {
            classes: Vec::new(),
            tenants: HashMap::new(),
            default: 0,
        };
        for (name, value) in object(data, "classes")? {
            let spec = Spec::deserialize(value).map_err(|why| shape(&["classes", name], &why))?;
            places.insert(name.clone(), found.classes.len());
            found.classes.push(Class::new(name, spec, before)?);
        }
        found.default = *places.entry(DEFAULT.to_owned()).or_insert_with(|| {
            found.classes.push(Class::unlimited());
            found.classes.len() - 1
        });
        for (tenant, value) in object(data, "tenants")? {
            let class = match value.get("class") {
                None => DEFAULT,
                Some(Value::String(class)) => class,
                Some(_) => return Err(shape(&["tenants", tenant, "class"], &"is not a string")),
            };
            let place = places.get(class).ok_or_else(|| ClassesError::NoClass {
                tenant: tenant.clone(),
                class: class.to_owned(),
            })?;
            found.tenants.insert(tenant.clone(), *place);
        }
        Ok(found)
    }

    /// In which lane a tenant's requests go.
    pub fn priority(&self, tenant: &str) -> Priority {
        self.class(tenant).0.priority
    }

    /// Takes a request of a tenant, or tells when there may be one.
    ///
    /// # Errors
    ///
    /// If its rate is reached.
    pub fn take(&self, tenant: &str) -> Result<(), Duration> {
        match self.class(tenant) {
            (Class { limiter: None, .. }, _) => Ok(()),
            (
                Class {
                    limiter: Some(limiter),
                    ..
                },
                key,
            ) => limiter.try_take(key, 1).map_err(|late| late.retry_after),
        }
    }

    /// A tenant's class, and its key there.
    fn class<'n>(&self, tenant: &'n str) -> (&Class, &'n str) {
        match self.tenants.get(tenant) {
            Some(place) => (&self.classes[*place], tenant),
            None => (&self.classes[self.default], UNKNOWN),
        }
    }
}

impl Class {
    fn unlimited() -> Self {
        Self {
            name: DEFAULT.to_owned(),
            spec: Spec::default(),
            priority: Priority::Normal,
            limiter: None,
        }
    }

    fn new(name: &str, spec: Spec, before: Option<&Classes>) -> Result<Self, ClassesError> {
        let priority = match spec.priority.as_deref() {
            Some("critical") => Priority::Critical,
            Some("high") => Priority::High,
            None | Some("normal") => Priority::Normal,
            Some("low") => Priority::Low,
            Some(found) => {
                return Err(ClassesError::Priority {
                    class: name.to_owned(),
                    found: found.to_owned(),
                });
            }
        };
        for (field, number) in [("rate_per_s", spec.rate_per_s), ("burst", spec.burst)] {
            if number == Some(0) {
                let class = name.to_owned();
                return Err(ClassesError::Zero { class, field });
            }
        }
        if spec.burst.is_some() && spec.rate_per_s.is_none() {
            return Err(ClassesError::NoRate(name.to_owned()));
        }
        let mut others = before.into_iter().flat_map(|before| &before.classes);
        let same = others.find(|other| other.name == name && other.spec == spec);
        let limiter = match same {
            Some(same) => same.limiter.clone(),
            None => spec
                .rate_per_s
                .map(|rate| Arc::new(limiter(rate, spec.burst))),
        };
        Ok(Self {
            name: name.to_owned(),
            spec,
            priority,
            limiter,
        })
    }
}

/// Without a burst, as much as comes in 10 ms may come at once.
fn limiter(rate_per_s: u32, burst: Option<u32>) -> KeyedRateLimiter<str> {
    let limiter = KeyedRateLimiter::new(rate_per_s.into(), Duration::from_secs(1), TENANTS);
    match burst {
        Some(burst) => limiter.burst(burst.into()),
        None => limiter,
    }
}

/// An object in the data, or nothing.
fn object<'d>(
    data: &'d Map<String, Value>,
    name: &'static str,
) -> Result<impl Iterator<Item = (&'d String, &'d Value)>, ClassesError> {
    match data.get(name) {
        None => Ok(None.into_iter().flatten()),
        Some(Value::Object(object)) => Ok(Some(object).into_iter().flatten()),
        Some(_) => Err(shape(&[name], &"is not an object")),
    }
}

fn shape(path: &[&str], why: &dyn std::fmt::Display) -> ClassesError {
    ClassesError::Shape {
        at: path.join("."),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use pipewright_tests::eventually;

    use super::*;

    fn read(text: &str, before: Option<&Classes>) -> Result<Classes, ClassesError> {
        Classes::read(&serde_json::from_str(text).expect("an object"), before)
    }

    #[test]
    fn a_tenant_has_the_lane_and_the_rate_of_its_class() {
        let classes = read(
            r#"{"classes": {"gold": {"priority": "high"}, "trial": {"priority": "low", "rate_per_s": 1, "burst": 2}},
                "tenants": {"acme": {"class": "gold"}, "tiny": {"class": "trial"}, "plain": {}}}"#,
            None,
        )
        .expect("it fits");
        assert_eq!(classes.priority("acme"), Priority::High);
        assert_eq!(classes.priority("tiny"), Priority::Low);
        assert_eq!(classes.priority("plain"), Priority::Normal);
        assert_eq!(classes.priority("nobody"), Priority::Normal);
        assert!((0..1_000).all(|_| classes.take("acme").is_ok()));
        assert_eq!(
            (classes.take("tiny"), classes.take("tiny")),
            (Ok(()), Ok(()))
        );
        // A busy machine may give it time for another one.
        eventually(|| {
            let taken = classes.take("tiny");
            taken.is_err_and(|wait| wait <= Duration::from_secs(1))
        });
    }

    #[test]
    fn tenants_that_nobody_knows_share_one_rate() {
        let text =
            r#"{"classes": {"default": {"rate_per_s": 1, "burst": 3}}, "tenants": {"acme": {}}}"#;
        let begun = Instant::now();
        let classes = read(text, None).expect("it fits");
        let taken = (0..100).filter(|n| classes.take(&format!("made-up-{n}")).is_ok());
        let taken = taken.count() as u64;
        assert!(
            (3..=3 + begun.elapsed().as_secs()).contains(&taken),
            "{taken}"
        );
        assert!(
            classes.take("acme").is_ok(),
            "a tenant has a rate of its own"
        );
    }

    #[test]
    fn a_class_that_stays_as_it_is_keeps_what_was_taken() {
        let text = r#"{"classes": {"trial": {"rate_per_s": 1, "burst": 1}}, "tenants": {"tiny": {"class": "trial"}}}"#;
        let first = read(text, None).expect("it fits");
        // A busy machine may give it time for another one.
        eventually(|| {
            let taken = first.take("tiny");
            let again = read(text, Some(&first)).expect("it fits");
            taken.is_ok() && again.take("tiny").is_err()
        });
        let more = read(&text.replace("\"burst\": 1", "\"burst\": 5"), Some(&first));
        assert!(more.expect("it fits").take("tiny").is_ok());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let check = |text: &str, expect: &str| {
            let error = read(text, None).expect_err(expect).to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(r#"{"classes": []}"#, "`classes`: is not an object");
        check(r#"{"tenants": 7}"#, "`tenants`: is not an object");
        check(
            r#"{"classes": {"a": {"rate": 7}}}"#,
            "`classes.a`: unknown field `rate`",
        );
        check(
            r#"{"classes": {"a": {"rate_per_s": -1}}}"#,
            "`classes.a`: invalid value",
        );
        check(
            r#"{"classes": {"a": {"rate_per_s": 0}}}"#,
            "`classes.a.rate_per_s` must be at least 1",
        );
        check(
            r#"{"classes": {"a": {"priority": "top"}}}"#,
            "write `critical`, `high`",
        );
        check(
            r#"{"tenants": {"t": {"class": "gold"}}}"#,
            "tenant `t` has the class `gold`",
        );
        check(
            r#"{"tenants": {"t": {"class": 7}}}"#,
            "`tenants.t.class`: is not a string",
        );
    }
}
