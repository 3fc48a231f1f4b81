//! Checks a written value against the table: type, unit, bounds and spelling, for both languages.

use super::raw::{Group, GroupField, RawField, RawValue, Value};
use super::table::{Field, ValueType};
use crate::check::is_rust_name;
use crate::cores::CoreSet;
use crate::model::Place;
use crate::report::{Problem, Problems};
use crate::suggest;
use crate::units::{self, Duration, Rate, UnitError};

/// Checks the value of the key or field `name`.
pub fn validate<P: Place>(
    name: &str,
    expected: ValueType,
    raw: RawValue<P>,
    place: &P,
) -> Result<Value<P>, Problems<P>> {
    let at = Site { name, place };
    let checked = match expected {
        ValueType::Group(fields) => return group(&at, fields, raw),
        ValueType::Words(words) => return list(&at, words, raw),
        ValueType::Count { min, max } => count(&at, min, max, &raw).map(Value::Count),
        ValueType::Time { min, max } => time(&at, min, max, &raw).map(Value::Time),
        ValueType::TimeOrWord { min, max, words } => match &raw {
            RawValue::Ident(_) => word(&at, words, &raw).map(Value::Word),
            _ => time(&at, min, max, &raw).map(Value::Time),
        },
        ValueType::TimeOrCount { max_ns, max } => match &raw {
            RawValue::Int(_) => count(&at, 1, max, &raw).map(Value::Count),
            _ => time(&at, 1, max_ns, &raw).map(Value::Time),
        },
        ValueType::Size { max } => size(&at, max, &raw).map(Value::Count),
        ValueType::Rate => rate(&at, &raw).map(Value::Rate),
        ValueType::Cores => cores(&at, &raw).map(Value::Cores),
        ValueType::Word(words) => word(&at, words, &raw).map(Value::Word),
        ValueType::Bool => truth(&at, &raw).map(Value::Bool),
        ValueType::Flag => flag(&at, &raw),
        ValueType::Code => code(&at, &raw),
        ValueType::CountOrCode { .. } if matches!(raw, RawValue::Code) => Ok(Value::Code),
        ValueType::CountOrCode { max } => count(&at, 1, max, &raw).map(Value::Count),
        ValueType::Function => function(&at, &raw).map(Value::Name),
        ValueType::Doors | ValueType::Stage => {
            Err(at.wrong("a stage", &raw, "write the name of a stage"))
        }
    };
    checked.map_err(Problems::from)
}

/// What is checked, for messages.
struct Site<'a, P> {
    name: &'a str,
    place: &'a P,
}

impl<P: Place> Site<'_, P> {
    fn problem(&self, code: &'static str, message: String, help: impl Into<String>) -> Problem<P> {
        Problem::new(code, message, self.place.clone()).help(help)
    }

    /// A value of another type than the key takes.
    fn wrong(&self, expected: &str, raw: &RawValue<P>, help: impl Into<String>) -> Problem<P> {
        let message = format!("`{}` is {expected}, not {}", self.name, describe(raw));
        self.problem("E_TYPE", message, help)
    }

    /// A number whose unit is wrong.
    fn unit(&self, error: &UnitError) -> Problem<P> {
        let message = match error {
            UnitError::BareTime { digits } => {
                format!(
                    "`{}` is a time like \"50us\", not \"{}\"",
                    self.name,
                    units::short(digits)
                )
            }
            UnitError::TooBig { .. } => {
                return self.problem("E_RANGE", error.to_string(), error.help());
            }
            _ => error.to_string(),
        };
        self.problem("E_UNIT", message, error.help())
    }

    fn range(&self, bound: &str, limit: impl std::fmt::Display) -> Problem<P> {
        let message = format!("`{}` must be at {bound} {limit}", self.name);
        self.problem(
            "E_RANGE",
            message,
            format!(
                "write {limit} or {}",
                if bound == "least" { "more" } else { "less" }
            ),
        )
    }
}

/// A value in a few words: `the word "high"`.
fn describe<P>(raw: &RawValue<P>) -> String {
    match raw {
        RawValue::Int(number) => format!("`{number}`"),
        RawValue::Float(number) => format!("`{number:?}`"),
        RawValue::Str(text) => format!("`\"{}\"`", units::short(text)),
        RawValue::Ident(word) => format!("`{}`", units::short(word)),
        RawValue::Bool(truth) => format!("`{truth}`"),
        RawValue::Flag => "a key without a value".into(),
        RawValue::Code => "an expression".into(),
        RawValue::List(_) => "a list".into(),
        RawValue::Group(_) => "a group of fields".into(),
        RawValue::Other(what) => what.clone(),
    }
}

fn count<P: Place>(
    at: &Site<'_, P>,
    min: u64,
    max: u64,
    raw: &RawValue<P>,
) -> Result<u64, Problem<P>> {
    let number = match raw {
        RawValue::Int(number) => *number,
        RawValue::Str(text) => units::parse_count(text)
            .map_err(|error| at.unit(&error))?
            .into(),
        // A float holds a whole number that is too long for an integer.
        RawValue::Float(number) if number.abs() >= 1e15 => *number as i128,
        RawValue::Float(number) if number.fract() == 0.0 => {
            return Err(at.wrong("a whole number", raw, format!("write {}", *number as i128)));
        }
        _ => {
            return Err(at.wrong(
                "a whole number",
                raw,
                "write a whole number like 64, or \"64Ki\"",
            ));
        }
    };
    match u64::try_from(number) {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ if number < i128::from(min) => Err(at.range("least", min)),
        _ => Err(at.range("most", units::show_count(max))),
    }
}

fn size<P: Place>(at: &Site<'_, P>, max: u64, raw: &RawValue<P>) -> Result<u64, Problem<P>> {
    let help = "write a size with a unit, like \"64Mi\"";
    let RawValue::Str(text) = raw else {
        return Err(at.wrong("a size like \"64Mi\"", raw, help));
    };
    match units::parse_count(text).map_err(|error| at.unit(&error))? {
        0 => Err(at.range("least", "\"1Ki\"")),
        bytes if bytes > max => Err(at.range("most", units::show_count(max))),
        bytes => Ok(bytes),
    }
}

fn time<P: Place>(
    at: &Site<'_, P>,
    min: u64,
    max: u64,
    raw: &RawValue<P>,
) -> Result<Duration, Problem<P>> {
    let text = match raw {
        RawValue::Str(text) => text,
        RawValue::Int(number) if *number > 0 => {
            return Err(at.wrong(
                "a time like \"50us\"",
                raw,
                format!("write \"{number}us\" or \"{number}ms\""),
            ));
        }
        _ => {
            return Err(at.wrong(
                "a time like \"50us\"",
                raw,
                "write a whole number and a unit, like \"50us\"",
            ));
        }
    };
    let time = Duration::parse(text).map_err(|error| at.unit(&error))?;
    if time.ns() < min {
        return Err(at.range("least", format_args!("\"{}\"", Duration::from_ns(min))));
    }
    if time.ns() > max {
        return Err(at.range("most", format_args!("\"{}\"", Duration::from_ns(max))));
    }
    Ok(time)
}

fn rate<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<Rate, Problem<P>> {
    let RawValue::Str(text) = raw else {
        return Err(at.wrong(
            "a rate like \"10k/s\"",
            raw,
            "write a number for each unit of time, like \"10k/s\"",
        ));
    };
    Rate::parse(text).map_err(|error| at.unit(&error))
}

fn cores<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<CoreSet, Problem<P>> {
    match raw {
        RawValue::Str(text) => CoreSet::parse(text)
            .map_err(|error| at.problem("E_CORES", error.to_string(), error.help())),
        RawValue::Int(core) if *core >= 0 => Err(at.wrong(
            "a core list like \"4-7,12\"",
            raw,
            format!("write \"{core}\""),
        )),
        _ => Err(at.wrong("a core list like \"4-7,12\"", raw, "write \"4-7,12\"")),
    }
}

fn word<P: Place>(
    at: &Site<'_, P>,
    words: &'static [&'static str],
    raw: &RawValue<P>,
) -> Result<&'static str, Problem<P>> {
    let known = |text: &str| words.iter().find(|word| **word == text).copied();
    match raw {
        RawValue::Ident(text) => known(text).ok_or_else(|| {
            let message = format!("`{}` is not a value of `{}`", units::short(text), at.name);
            at.problem(
                "E_UNKNOWN_WORD",
                message,
                suggest::help(text, "its values", words.iter().copied()),
            )
        }),
        RawValue::Str(text) if known(text).is_some() => {
            Err(at.wrong("a word", raw, format!("write {text} without quotes")))
        }
        _ => Err(at.wrong("a word", raw, format!("write one of {}", words.join(", ")))),
    }
}

fn list<P: Place>(
    at: &Site<'_, P>,
    words: &'static [&'static str],
    raw: RawValue<P>,
) -> Result<Value<P>, Problems<P>> {
    let RawValue::List(items) = raw else {
        return word(at, words, &raw)
            .map(|one| Value::Words(vec![one]))
            .map_err(Problems::from);
    };
    let mut problems = Problems::new();
    let mut found = Vec::new();
    for (item, place) in items {
        match word(
            &Site {
                name: at.name,
                place: &place,
            },
            words,
            &item,
        ) {
            Ok(one) => found.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    problems.into_result(Value::Words(found))
}

fn truth<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<bool, Problem<P>> {
    match raw {
        RawValue::Bool(truth) => Ok(*truth),
        RawValue::Flag => Ok(true),
        _ => Err(at.wrong("true or false", raw, "write true or false")),
    }
}

fn flag<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<Value<P>, Problem<P>> {
    match raw {
        RawValue::Flag => Ok(Value::Bool(true)),
        _ => Err(at.wrong("a flag", raw, format!("write `{}` alone", at.name))),
    }
}

fn code<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<Value<P>, Problem<P>> {
    match raw {
        RawValue::Code | RawValue::Ident(_) => Ok(Value::Code),
        _ => Err(at.wrong("code", raw, "write a path, like `Book::load`")),
    }
}

/// The name of a function: a word in Rust, in quotes in RON.
fn function<P: Place>(at: &Site<'_, P>, raw: &RawValue<P>) -> Result<String, Problem<P>> {
    match raw {
        RawValue::Ident(name) | RawValue::Str(name) if is_rust_name(name) => Ok(name.clone()),
        _ => Err(at.wrong(
            "the name of a function",
            raw,
            "write the name of a function of the pipeline's module; one of another module is brought in by `use`",
        )),
    }
}

fn group<P: Place>(
    at: &Site<'_, P>,
    fields: &'static [Field],
    raw: RawValue<P>,
) -> Result<Value<P>, Problems<P>> {
    let raw = match raw {
        RawValue::Group(raw) => raw,
        other => {
            let help = format!(
                "its fields are {}",
                names(fields).collect::<Vec<_>>().join(", ")
            );
            return Err(at
                .wrong("a group of fields in parentheses", &other, help)
                .into());
        }
    };
    let mut problems = Problems::new();
    let mut group = Group { fields: Vec::new() };
    for field in raw {
        if let Err(found) = group_field(at.name, fields, &mut group, field) {
            problems.extend(found);
        }
    }
    problems.into_result(Value::Group(group))
}

fn names(fields: &'static [Field]) -> impl Iterator<Item = &'static str> + Clone {
    fields.iter().map(|field| field.name)
}

fn group_field<P: Place>(
    outer: &str,
    fields: &'static [Field],
    group: &mut Group<P>,
    raw: RawField<P>,
) -> Result<(), Problems<P>> {
    let Some(field) = fields.iter().find(|field| field.name == raw.name) else {
        let message = format!("`{outer}` has no field `{}`", units::short(&raw.name));
        let help = suggest::help(&raw.name, "its fields", names(fields));
        return Err(Problem::new("E_UNKNOWN_KEY", message, raw.key)
            .help(help)
            .into());
    };
    if let Some(first) = group.find(field.name) {
        return Err(Problem::twice(field.name, raw.key, first.key.clone()).into());
    }
    let value = validate(field.name, field.value, raw.value, &raw.place)?;
    group.fields.push(GroupField {
        name: field.name,
        value,
        key: raw.key,
        place: raw.place,
    });
    Ok(())
}
