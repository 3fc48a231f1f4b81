//! Values as a front door hands them over, and as they are after their check.

use crate::cores::CoreSet;
use crate::info::FieldValue;
use crate::units::{Duration, Rate};

/// A value as it was written, in either language.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RawValue<P> {
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Str(String),
    /// A bare word, such as `high`.
    Ident(String),
    /// `true` or `false`.
    Bool(bool),
    /// The key alone, without a value.
    Flag,
    /// A path or closure that only Rust understands.
    Code,
    /// A list.
    List(Vec<(RawValue<P>, P)>),
    /// Fields in parentheses.
    Group(Vec<RawField<P>>),
    /// Anything else, described for a message: `a character`.
    Other(String),
}

/// A field of a [`RawValue::Group`].
#[derive(Clone, Debug, PartialEq)]
pub struct RawField<P> {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub key: P,
    /// Its value.
    pub value: RawValue<P>,
    /// Where the value is written.
    pub place: P,
}

/// A value that passed its check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<P> {
    /// A count, size or percentage.
    Count(u64),
    /// A time.
    Time(Duration),
    /// A rate.
    Rate(Rate),
    /// A core list.
    Cores(CoreSet),
    /// A word of those allowed.
    Word(&'static str),
    /// Words of those allowed.
    Words(Vec<&'static str>),
    /// A truth value, or a flag.
    Bool(bool),
    /// The name of a function.
    Name(String),
    /// Something that only Rust understands.
    Code,
    /// Checked fields.
    Group(Group<P>),
}

/// The fields of a key such as `retry(max = 3)`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<P> {
    /// The fields in the order they were given in.
    pub fields: Vec<GroupField<P>>,
}

impl<P> Group<P> {
    /// The field with this name.
    pub fn find(&self, name: &str) -> Option<&GroupField<P>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The same group at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Group<Q> {
        Group {
            fields: self
                .fields
                .into_iter()
                .map(|field| field.map_place(f))
                .collect(),
        }
    }
}

/// A field of a [`Group`].
#[derive(Clone, Debug, PartialEq)]
pub struct GroupField<P> {
    /// Its name, as the table has it.
    pub name: &'static str,
    /// Its value.
    pub value: Value<P>,
    /// Where the name is written.
    pub key: P,
    /// Where the value is written.
    pub place: P,
}

impl<P> GroupField<P> {
    fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> GroupField<Q> {
        GroupField {
            name: self.name,
            value: self.value.map_place(f),
            key: f(self.key),
            place: f(self.place),
        }
    }
}

impl<P> Value<P> {
    /// It as a field of a group; `None` for what no group of a stage has.
    pub fn as_field(&self) -> Option<FieldValue<'_>> {
        match self {
            Self::Count(count) => Some(FieldValue::Count(*count)),
            Self::Time(time) => Some(FieldValue::Time(time.ns())),
            Self::Word(word) => Some(FieldValue::Word(word)),
            Self::Words(words) => Some(FieldValue::Words(words)),
            // Which function it is knows the generated code.
            Self::Name(_) => Some(FieldValue::Word("function")),
            _ => None,
        }
    }

    fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Value<Q> {
        match self {
            Self::Count(count) => Value::Count(count),
            Self::Time(time) => Value::Time(time),
            Self::Rate(rate) => Value::Rate(rate),
            Self::Cores(cores) => Value::Cores(cores),
            Self::Word(word) => Value::Word(word),
            Self::Words(words) => Value::Words(words),
            Self::Bool(truth) => Value::Bool(truth),
            Self::Name(name) => Value::Name(name),
            Self::Code => Value::Code,
            Self::Group(group) => Value::Group(group.map_place(f)),
        }
    }
}
