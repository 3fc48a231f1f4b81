//! A RON text as a tree of values that know their places.
//!
//! The `ron` crate parses; it gives no places below an error. But it lends parts of its input, as
//! strings and as raw values, and where a lent part lies in the text is its place.

use std::fmt;

use ron::error::SpannedError;
use ron::value::RawValue as Raw;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::report::Span;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node<'src> {
    pub(super) value: Tree<'src>,
    pub(super) place: Span,
}

/// A value as it stands in the text.
#[derive(Debug)]
pub(super) enum Tree<'src> {
    Int(i128),
    Float(f64),
    Bool(bool),
    /// A string without escapes, with the place of what is between the quotes.
    Str(&'src str, Span),
    /// A string with escapes.
    Escaped(String),
    Ident(&'src str),
    List(Vec<Node<'src>>),
    /// `(key: value, ..)`.
    Fields(Vec<(&'src str, Span, Node<'src>)>),
    /// `{ key: value, .. }`.
    Map(Vec<(Node<'src>, Node<'src>)>),
    /// Anything else, with a phrase for messages.
    Other(&'static str),
}

/// The tree of a whole text.
///
/// `ron` checks the whole text first, so the parts that are looked at afterwards are known to be good.
pub(super) fn parse(text: &str) -> Result<Node<'_>, SpannedError> {
    let whole = value_of(text)?;
    Forest { text }.node(whole)
}

/// The value of a text, without what is before and behind it.
fn value_of(text: &str) -> Result<&str, SpannedError> {
    let options = ron::Options::default().with_recursion_limit(MAX_DEPTH);
    let mut deserializer = ron::Deserializer::from_str_with_options(text, &options)?;
    let start = deserializer.remainder();
    let read = IgnoredAny::deserialize(&mut deserializer).map(|_| deserializer.remainder());
    let rest = read.map_err(|error| deserializer.span_error(error))?;
    deserializer
        .end()
        .map_err(|error| deserializer.span_error(error))?;
    // A raw value must not end in a line comment, but a file may.
    Ok(Raw::from_ron(&start[..start.len() - rest.len()])?
        .trim()
        .get_ron())
}

/// How deep `ron` goes; it counts a list of fields and each value in it. Files are four levels deep.
const MAX_DEPTH: usize = 20;

#[derive(Clone, Copy)]
struct Forest<'src> {
    text: &'src str,
}

impl<'src> Forest<'src> {
    /// Where a lent part of the text lies in it.
    fn place(self, part: &str) -> Span {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + part.len()
    }

    fn node(self, part: &'src str) -> Result<Node<'src>, SpannedError> {
        let place = self.place(part);
        if is_ident(part) {
            return Ok(Node {
                value: Tree::Ident(part),
                place,
            });
        }
        let mut deserializer = ron::Deserializer::from_str(part)?;
        let reader = Reader { forest: self, part };
        let value = deserializer
            .deserialize_any(reader)
            .map_err(|error| deserializer.span_error(error))?;
        Ok(Node { value, place })
    }
}

/// Is this a bare word that has no other meaning in RON?
fn is_ident(part: &str) -> bool {
    let word = part.strip_prefix("r#").unwrap_or(part);
    !matches!(
        word,
        "true" | "false" | "None" | "inf" | "NaN" | "inff32" | "inff64" | "NaNf32" | "NaNf64"
    ) && word.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && word.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Makes a tree of what `ron` finds in a part.
struct Reader<'src> {
    forest: Forest<'src>,
    part: &'src str,
}

impl<'src> Reader<'src> {
    fn child<E: serde::de::Error>(&self, raw: &'src Raw) -> Result<Node<'src>, E> {
        self.forest.node(raw.trim().get_ron()).map_err(E::custom)
    }

    fn fields<A: MapAccess<'src>>(&self, mut map: A) -> Result<Tree<'src>, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key_seed(Word)? {
            let raw: &Raw = map.next_value()?;
            fields.push((key, self.forest.place(key), self.child(raw)?));
        }
        Ok(Tree::Fields(fields))
    }

    fn map<A: MapAccess<'src>>(&self, mut map: A) -> Result<Tree<'src>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<&Raw>()? {
            let raw: &Raw = map.next_value()?;
            entries.push((self.child(key)?, self.child(raw)?));
        }
        Ok(Tree::Map(entries))
    }
}

impl<'src> Visitor<'src> for Reader<'src> {
    type Value = Tree<'src>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Tree::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Tree::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Tree::Float(value))
    }

    fn visit_char<E>(self, _: char) -> Result<Self::Value, E> {
        Ok(Tree::Other("a character"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Tree::Escaped(value.into()))
    }

    fn visit_borrowed_str<E>(self, value: &'src str) -> Result<Self::Value, E> {
        Ok(Tree::Str(value, self.forest.place(value)))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Tree::Other("a string of bytes"))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Tree::Other("`None`"))
    }

    fn visit_some<D: Deserializer<'src>>(self, inner: D) -> Result<Self::Value, D::Error> {
        IgnoredAny::deserialize(inner)?;
        Ok(Tree::Other("`Some(..)`"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        match self.part.starts_with('(') {
            true => Ok(Tree::Fields(Vec::new())),
            false => Ok(Tree::Other("a range")),
        }
    }

    fn visit_seq<A: SeqAccess<'src>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = seq.next_element::<&Raw>()? {
            items.push(self.child(raw)?);
        }
        match self.part.chars().next() {
            Some('[') => Ok(Tree::List(items)),
            Some('(') => Ok(Tree::Other("a tuple")),
            _ => Ok(Tree::Other("a value with a type name")),
        }
    }

    fn visit_map<A: MapAccess<'src>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        match self.part.chars().next() {
            Some('(') => self.fields(map),
            Some('{') => self.map(map),
            first => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                let is_number = first.is_some_and(|c| !c.is_alphabetic() && c != '_');
                Ok(Tree::Other(if is_number {
                    "a range"
                } else {
                    "a value with a type name"
                }))
            }
        }
    }
}

/// Reads the key of a field as a part of the text.
struct Word;

impl<'src> DeserializeSeed<'src> for Word {
    type Value = &'src str;

    fn deserialize<D: Deserializer<'src>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'src> Visitor<'src> for Word {
    type Value = &'src str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'src str) -> Result<Self::Value, E> {
        Ok(value)
    }
}
