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
use serde_json::{Map, Value};

use super::place::place;

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
    /// A rate for each of its tenants, if there is a limit.
    limiter: Option<Arc<KeyedRateLimiter<str>>>,
}

/// A class as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Spec {
    priority: Option<Priority>,
    rate_per_s: Option<u32>,
    burst: Option<u32>,
}

/// What the data says about tenants that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {why}", at.join("."))]
pub struct ClassesError {
    /// Where, as a path of keys.
    at: Vec<String>,
    why: Wrong,
}

/// What is wrong there, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("is not an object\nhelp: write {0}")]
    Object(&'static str),
    #[error("is no field of a class\nhelp: write `priority`, `rate_per_s` or `burst`")]
    Field,
    #[error("is `{0}`\nhelp: write `\"critical\"`, `\"high\"`, `\"normal\"` or `\"low\"`")]
    Priority(String),
    #[error("is `{0}`\nhelp: write a whole number from 1 to {max}, such as `100`", max = u32::MAX)]
    Number(String),
    #[error("stands without a `rate_per_s`\nhelp: write both, or neither for no limit")]
    Burst,
    #[error("is `{0}`, which is not among `classes`\nhelp: write the name of one, or add it there")]
    Class(String),
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
            let spec = Spec::read(name, value)?;
            places.insert(name.clone(), found.classes.len());
            found.classes.push(Class::new(name, spec, before));
        }
        found.default = *places.entry(DEFAULT.to_owned()).or_insert_with(|| {
            found.classes.push(Class::unlimited());
            found.classes.len() - 1
        });
        for (tenant, value) in object(data, "tenants")? {
            let place = match value.get("class") {
                None => Some(&found.default),
                Some(class) => class.as_str().and_then(|class| places.get(class)),
            };
            let place = place.ok_or_else(|| {
                let why = Wrong::Class(shown(&value["class"]));
                wrong(&["tenants", tenant, "class"], why)
            })?;
            found.tenants.insert(tenant.clone(), *place);
        }
        Ok(found)
    }

    /// In which lane a tenant's requests go.
    pub fn priority(&self, tenant: &str) -> Priority {
        let spec = &self.class(tenant).0.spec;
        spec.priority.unwrap_or(Priority::Normal)
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
            limiter: None,
        }
    }

    fn new(name: &str, spec: Spec, before: Option<&Classes>) -> Self {
        let mut others = before.into_iter().flat_map(|before| &before.classes);
        let same = others.find(|other| other.name == name && other.spec == spec);
        let limiter = match same {
            Some(same) => same.limiter.clone(),
            None => spec
                .rate_per_s
                .map(|rate| Arc::new(limiter(rate, spec.burst))),
        };
        Self {
            name: name.to_owned(),
            spec,
            limiter,
        }
    }
}

impl Spec {
    /// By hand and not by serde, so that what is wrong is told with its field.
    fn read(class: &str, value: &Value) -> Result<Self, ClassesError> {
        let Value::Object(fields) = value else {
            let fields = "such as `{\"priority\": \"high\", \"rate_per_s\": 5000, \"burst\": 500}`";
            return Err(wrong(&["classes", class], Wrong::Object(fields)));
        };
        let mut spec = Self::default();
        for (field, value) in fields {
            let read = match field.as_str() {
                "priority" => priority(value).map(|priority| spec.priority = priority),
                "rate_per_s" => number(value).map(|number| spec.rate_per_s = number),
                "burst" => number(value).map(|number| spec.burst = number),
                _ => Err(Wrong::Field),
            };
            read.map_err(|why| wrong(&["classes", class, field], why))?;
        }
        match spec {
            Self {
                rate_per_s: None,
                burst: Some(_),
                ..
            } => Err(wrong(&["classes", class, "burst"], Wrong::Burst)),
            spec => Ok(spec),
        }
    }
}

/// A lane; `null` is as good as nothing.
fn priority(value: &Value) -> Result<Option<Priority>, Wrong> {
    if value.is_null() {
        return Ok(None);
    }
    let found = value.as_str().and_then(Priority::from_name);
    found.map(Some).ok_or_else(|| Wrong::Priority(shown(value)))
}

/// A number that lets somebody through; `null` is as good as nothing.
fn number(value: &Value) -> Result<Option<u32>, Wrong> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        None if value.is_null() => Ok(None),
        None | Some(0) => Err(Wrong::Number(shown(value))),
        number => Ok(number),
    }
}

/// A value as it is written; of a long one its beginning.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(100).collect()
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
        Some(_) => {
            let entries = "`{\"NAME\": {..}, ..}`, or leave it out";
            Err(wrong(&[name], Wrong::Object(entries)))
        }
    }
}

fn wrong(at: &[&str], why: Wrong) -> ClassesError {
    ClassesError {
        at: at.iter().map(|key| (*key).to_owned()).collect(),
        why,
    }
}

impl ClassesError {
    /// The line and the column, from 1, in the text that the data was read from.
    pub fn place(&self, text: &str) -> (usize, usize) {
        place(text, &self.at)
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
        let object = "is not an object\nhelp: write ";
        check(r#"{"classes": []}"#, &format!("`classes` {object}`{{"));
        check(r#"{"tenants": 7}"#, &format!("`tenants` {object}`{{"));
        check(
            r#"{"classes": {"a": 7}}"#,
            &format!("`classes.a` {object}such as `{{\"priority\":"),
        );
        check(
            r#"{"classes": {"a": {"rate": 7}}}"#,
            "`classes.a.rate` is no field of a class\nhelp: write `priority`, `rate_per_s` or",
        );
        for field in ["rate_per_s", "burst"] {
            for value in ["-1", "0", "1.5", "4294967296", "\"7\"", "[]"] {
                let text = format!(r#"{{"classes": {{"a": {{"{field}": {value}}}}}}}"#);
                let expect =
                    format!("`classes.a.{field}` is `{value}`\nhelp: write a whole number from 1");
                check(&text, &expect);
            }
        }
        for value in ["\"top\"", "7"] {
            let text = format!(r#"{{"classes": {{"a": {{"priority": {value}}}}}}}"#);
            let expect = "help: write `\"critical\"`, `\"high\"`, ";
            check(
                &text,
                &format!("`classes.a.priority` is `{value}`\n{expect}"),
            );
        }
        check(
            r#"{"classes": {"a": {"burst": 7}}}"#,
            "`classes.a.burst` stands without a `rate_per_s`",
        );
        for class in ["\"gold\"", "7"] {
            let text = format!(r#"{{"tenants": {{"t": {{"class": {class}}}}}}}"#);
            let expect = format!("`tenants.t.class` is `{class}`, which is not among `classes`");
            check(&text, &expect);
        }
        assert!(
            read(
                r#"{"classes": {"a": {"priority": null, "burst": null}}}"#,
                None
            )
            .is_ok()
        );
    }
}
