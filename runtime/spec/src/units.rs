//! Numbers with a unit: times like `"150us"`, counts like `"64Ki"`, sizes like `"64Mi"`, rates like `"10k/s"`.

use std::fmt;

use crate::info::RateInfo;

/// A length of time in whole nanoseconds, written `"150us"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration {
    ns: u64,
}

impl Duration {
    /// A duration of so many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// The number of nanoseconds.
    pub const fn ns(self) -> u64 {
        self.ns
    }

    /// The same length as the standard library's type.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.ns)
    }

    /// Reads `"150us"`. Whole numbers only, with one of the units `ns`, `us`, `ms`, `s`, `min`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let (digits, unit) = split(text);
        if digits.is_empty() {
            return Err(UnitError::NotATime { text: text.into() });
        }
        if digits.len() > MOST_DIGITS {
            return Err(UnitError::TooBig { text: text.into() });
        }
        let Some((_, scale)) = TIMES.iter().find(|(name, _)| *name == unit) else {
            return Err(time_unit_error(text, digits, unit));
        };
        let number: u64 = digits
            .parse()
            .map_err(|_| UnitError::TooBig { text: text.into() })?;
        let ns = number
            .checked_mul(*scale)
            .ok_or_else(|| UnitError::TooBig { text: text.into() })?;
        Ok(Self { ns })
    }
}

/// The largest unit that divides the length.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |scale: &u64| self.ns.is_multiple_of(*scale) && (self.ns > 0 || *scale == 1);
        let (unit, scale) = TIMES
            .iter()
            .rev()
            .find(|(_, scale)| fits(scale))
            .unwrap_or(&TIMES[0]);
        write!(f, "{}{unit}", self.ns / scale)
    }
}

const TIMES: [(&str, u64); 5] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
];

fn time_unit_error(text: &str, digits: &str, unit: &str) -> UnitError {
    let text = text.to_owned();
    match unit {
        "" => UnitError::BareTime {
            digits: digits.into(),
        },
        "µs" | "μs" => UnitError::Spelling {
            text,
            write: format!("{digits}us"),
        },
        "sec" | "secs" | "S" => UnitError::Spelling {
            text,
            write: format!("{digits}s"),
        },
        "m" => UnitError::Spelling {
            text,
            write: format!("{digits}min"),
        },
        _ if unit.starts_with([' ', '_'])
            && TIMES.iter().any(|(name, _)| *name == unit[1..].trim()) =>
        {
            UnitError::Spelling {
                text,
                write: format!("{digits}{}", unit[1..].trim()),
            }
        }
        _ if unit.starts_with(['.', ',']) => UnitError::Fraction { text },
        _ => UnitError::TimeUnit { text },
    }
}

/// Reads a count with a binary suffix, such as `"64Ki"`: `Ki`, `Mi` or `Gi`.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let (digits, unit) = split(text);
    if digits.is_empty() {
        return Err(UnitError::NotACount { text: text.into() });
    }
    if digits.len() > MOST_DIGITS {
        return Err(UnitError::TooBig { text: text.into() });
    }
    match unit {
        "" => Err(UnitError::QuotedCount {
            digits: digits.into(),
        }),
        "k" | "K" | "ki" | "KiB" => Err(UnitError::Spelling {
            text: text.into(),
            write: format!("{digits}Ki"),
        }),
        "m" | "M" | "mi" | "MiB" => Err(UnitError::Spelling {
            text: text.into(),
            write: format!("{digits}Mi"),
        }),
        "g" | "G" | "gi" | "GiB" => Err(UnitError::Spelling {
            text: text.into(),
            write: format!("{digits}Gi"),
        }),
        _ => {
            let Some((_, scale)) = BINARY.iter().find(|(name, _)| *name == unit) else {
                return Err(UnitError::CountUnit { text: text.into() });
            };
            let number: u64 = digits
                .parse()
                .map_err(|_| UnitError::TooBig { text: text.into() })?;
            number
                .checked_mul(*scale)
                .ok_or_else(|| UnitError::TooBig { text: text.into() })
        }
    }
}

const BINARY: [(&str, u64); 3] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];

/// A count in the shortest of the spellings that [`parse_count`] and plain numbers allow.
pub fn show_count(count: u64) -> String {
    let fits = |scale: u64| count >= scale && count.is_multiple_of(scale);
    match BINARY.iter().rev().find(|(_, scale)| fits(*scale)) {
        Some((unit, scale)) => format!("\"{}{unit}\"", count / scale),
        None => count.to_string(),
    }
}

/// So many items in a time, written `"10k/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many items.
    pub count: u64,
    /// In how long.
    pub per: Duration,
}

impl Rate {
    /// The same as a part of a pipeline's shape.
    pub fn info(self) -> RateInfo {
        RateInfo {
            items: self.count,
            per_ns: self.per.ns(),
        }
    }

    /// Reads `"10k/s"`: a whole number, perhaps with `k` or `M`, for each `ms`, `s` or `min`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::NotARate { text: text.into() };
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let (digits, unit) = split(count);
        let scale: u64 = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            _ => return Err(wrong()),
        };
        let (_, ns) = TIMES
            .iter()
            .find(|(name, _)| *name == per && *name != "ns")
            .ok_or_else(wrong)?;
        if digits.is_empty() {
            return Err(wrong());
        }
        let count = digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(scale));
        match count {
            Some(0) => Err(wrong()),
            Some(count) => Ok(Self {
                count,
                per: Duration { ns: *ns },
            }),
            None => Err(UnitError::TooBig { text: text.into() }),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = self.per.to_string();
        write!(f, "{}/{}", self.count, per.trim_start_matches('1'))
    }
}

/// What is wrong with a number and its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnitError {
    /// A time without digits.
    NotATime {
        /// What was written.
        text: String,
    },
    /// A time without a unit.
    BareTime {
        /// The digits alone.
        digits: String,
    },
    /// A time with a unit that is none.
    TimeUnit {
        /// What was written.
        text: String,
    },
    /// A count without digits.
    NotACount {
        /// What was written.
        text: String,
    },
    /// A count in quotes that needs none.
    QuotedCount {
        /// The digits alone.
        digits: String,
    },
    /// A count with a suffix that is none.
    CountUnit {
        /// What was written.
        text: String,
    },
    /// Not a number of items for each unit of time.
    NotARate {
        /// What was written.
        text: String,
    },
    /// A fraction where only whole numbers are exact.
    Fraction {
        /// What was written.
        text: String,
    },
    /// Understood, but spelled in another way here.
    Spelling {
        /// What was written.
        text: String,
        /// What to write.
        write: String,
    },
    /// More than fits.
    TooBig {
        /// What was written.
        text: String,
    },
}

impl UnitError {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::NotATime { .. } => "write a whole number and a unit, like \"50us\"".into(),
            Self::BareTime { digits } => format!("write \"{digits}us\" or \"{digits}ms\""),
            Self::TimeUnit { .. } => "the units are ns, us, ms, s, min".into(),
            Self::NotACount { .. } => "write a whole number like 64, or \"64Ki\"".into(),
            Self::QuotedCount { digits } => {
                format!("write {digits} without quotes, or \"{digits}Ki\"")
            }
            Self::CountUnit { .. } => "the suffixes are Ki (1024), Mi and Gi".into(),
            Self::NotARate { .. } => {
                "write a number for each unit of time, like \"500/s\" or \"10k/s\"".into()
            }
            Self::Fraction { .. } => {
                "use the next smaller unit, like \"1500us\" for one and a half ms".into()
            }
            Self::Spelling { write, .. } => format!("write \"{write}\""),
            Self::TooBig { .. } => "write a smaller number".into(),
        }
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATime { text } => write!(f, "`\"{}\"` is not a time", short(text)),
            Self::BareTime { digits } => {
                write!(f, "a time has a unit, and `\"{}\"` has none", short(digits))
            }
            Self::TimeUnit { text } => write!(f, "`\"{}\"` has no unit of time", short(text)),
            Self::NotACount { text } => write!(f, "`\"{}\"` is not a count", short(text)),
            Self::QuotedCount { digits } => {
                write!(f, "`\"{}\"` is a number in quotes", short(digits))
            }
            Self::CountUnit { text } => write!(f, "`\"{}\"` has no suffix of a count", short(text)),
            Self::NotARate { text } => write!(f, "`\"{}\"` is not a rate", short(text)),
            Self::Fraction { text } => write!(f, "`\"{}\"` is a fraction", short(text)),
            Self::Spelling { text, .. } => {
                write!(f, "`\"{}\"` is spelled in another way here", short(text))
            }
            Self::TooBig { text } => write!(f, "`\"{}\"` is too big", short(text)),
        }
    }
}

impl std::error::Error for UnitError {}

/// No number has more digits, so that none is repeated in a message that has.
const MOST_DIGITS: usize = 40;

/// Leading digits and the rest.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// At most 40 characters of `text`, for a message. Those that are not seen, or change how others are shown, are written out.
///
/// ```
/// assert_eq!(pipewright_spec::units::short("de\u{202e}code"), "de\\u{202e}code");
/// ```
pub fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(visible).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Is this a character that is not seen, or that changes how others are shown?
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// How a character is shown in a message.
pub(crate) fn visible(c: char) -> Vec<char> {
    if is_hidden(c) {
        c.escape_unicode().collect()
    } else {
        vec![c]
    }
}

#[cfg(test)]
mod tests;
