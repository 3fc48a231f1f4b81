//! Lists of processor cores in the notation of the kernel: `"4-7,12"`.

use std::fmt;

/// A set of core numbers, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoreSet {
    cores: Vec<u32>,
}

/// The highest core number that is accepted; no kernel of today counts further.
pub const MAX_CORE: u32 = 8191;

impl CoreSet {
    /// Reads `"4-7,12"`: numbers and ascending ranges, each core once.
    pub fn parse(text: &str) -> Result<Self, CoresError> {
        let mut cores = Vec::new();
        let mut seen = [false; MAX_CORE as usize + 1];
        for part in text.split(',') {
            let (first, last) = range(text, part.trim())?;
            for core in first..=last {
                // `range` keeps it in bounds.
                if std::mem::replace(&mut seen[core as usize], true) {
                    return Err(CoresError::Twice { core });
                }
                cores.push(core);
            }
        }
        cores.sort_unstable();
        Ok(Self { cores })
    }

    /// How many cores there are; never zero.
    #[allow(clippy::len_without_is_empty, reason = "a set of cores is never empty")]
    pub fn len(&self) -> usize {
        self.cores.len()
    }

    /// These cores; `None` if there are none, if one is there twice, or if one is above [`MAX_CORE`].
    pub fn of(cores: &[u32]) -> Option<Self> {
        let mut cores = cores.to_vec();
        cores.sort_unstable();
        let good = cores.last().is_some_and(|last| *last <= MAX_CORE)
            && cores.windows(2).all(|two| two[0] < two[1]);
        good.then_some(Self { cores })
    }

    /// The core numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.cores.iter().copied()
    }

    /// The core numbers, ascending.
    pub fn as_slice(&self) -> &[u32] {
        &self.cores
    }
}

fn range(text: &str, part: &str) -> Result<(u32, u32), CoresError> {
    let number = |digits: &str| -> Result<u32, CoresError> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CoresError::NotAList { text: text.into() });
        }
        match digits.parse() {
            Ok(core) if core <= MAX_CORE => Ok(core),
            _ => Err(CoresError::TooHigh {
                text: digits.into(),
            }),
        }
    };
    let Some((first, last)) = part.split_once('-') else {
        return number(part).map(|core| (core, core));
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(CoresError::Descending { first, last });
    }
    Ok((first, last))
}

/// The shortest list that means the same.
impl fmt::Display for CoreSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.cores.as_slice();
        let mut comma = "";
        while let Some(&first) = rest.first() {
            let run = rest
                .iter()
                .zip(first..)
                .take_while(|(core, next)| **core == *next)
                .count();
            let last = rest[run - 1];
            match run {
                1 => write!(f, "{comma}{first}")?,
                2 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
            rest = &rest[run..];
        }
        Ok(())
    }
}

/// What is wrong with a list of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoresError {
    /// Not numbers and ranges at all.
    NotAList {
        /// What was written.
        text: String,
    },
    /// A range that counts down.
    Descending {
        /// Its first number.
        first: u32,
        /// Its last number.
        last: u32,
    },
    /// A core that is listed already.
    Twice {
        /// The core.
        core: u32,
    },
    /// A core number above [`MAX_CORE`].
    TooHigh {
        /// What was written.
        text: String,
    },
}

impl CoresError {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::Descending { first, last } => format!("write \"{last}-{first}\""),
            Self::Twice { core } => format!("write {core} once"),
            Self::NotAList { .. } => "write \"4-7,12\"".into(),
            Self::TooHigh { .. } => format!("cores are numbered from 0 to at most {MAX_CORE}"),
        }
    }
}

impl fmt::Display for CoresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::units::short;
        match self {
            Self::NotAList { text } => write!(f, "`\"{}\"` is not a core list", short(text)),
            Self::Descending { first, last } => write!(f, "the range `{first}-{last}` counts down"),
            Self::Twice { core } => write!(f, "core {core} is listed twice"),
            Self::TooHigh { text } => write!(f, "there is no core {}", short(text)),
        }
    }
}

impl std::error::Error for CoresError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_shown_in_the_shortest_form() {
        #[track_caller]
        fn check(text: &str, cores: &[u32], shown: &str) {
            let set = CoreSet::parse(text).expect("a core list");
            assert_eq!(set.as_slice(), cores);
            assert_eq!(set.to_string(), shown);
        }
        check("0", &[0], "0");
        check("4-7,12", &[4, 5, 6, 7, 12], "4-7,12");
        check("12, 4-5", &[4, 5, 12], "4,5,12");
        check("3,2,1", &[1, 2, 3], "1-3");
        check("8191", &[8191], "8191");
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        #[track_caller]
        fn check(text: &str, message: &str, help: &str) {
            let error = CoreSet::parse(text).expect_err("not a core list");
            assert_eq!(
                (error.to_string().as_str(), error.help().as_str()),
                (message, help)
            );
        }
        check("4-", "`\"4-\"` is not a core list", "write \"4-7,12\"");
        check("", "`\"\"` is not a core list", "write \"4-7,12\"");
        check("1,,2", "`\"1,,2\"` is not a core list", "write \"4-7,12\"");
        check(
            "0-6:2",
            "`\"0-6:2\"` is not a core list",
            "write \"4-7,12\"",
        );
        check("-1", "`\"-1\"` is not a core list", "write \"4-7,12\"");
        check("+1", "`\"+1\"` is not a core list", "write \"4-7,12\"");
        check("7-4", "the range `7-4` counts down", "write \"4-7\"");
        check("1-3,2", "core 2 is listed twice", "write 2 once");
        check(
            "8192",
            "there is no core 8192",
            "cores are numbered from 0 to at most 8191",
        );
        check(
            "0-99999999999",
            "there is no core 99999999999",
            "cores are numbered from 0 to at most 8191",
        );
    }
}
