//! How what is measured was built: what has to be the same for two results to be comparable, besides the machine.

use std::collections::BTreeMap;

/// How this package was built, as names and values; a trial is built with it. What only the binary itself knows, it adds.
pub(crate) fn here() -> BTreeMap<String, String> {
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let panic = match cfg!(panic = "abort") {
        true => "abort",
        false => "unwind",
    };
    let all = [
        ("rustc", env!("PIPEWRIGHT_BENCH_RUSTC")),
        ("target", env!("PIPEWRIGHT_BENCH_TARGET")),
        ("rustflags", env!("PIPEWRIGHT_BENCH_RUSTFLAGS")),
        ("opt_level", env!("PIPEWRIGHT_BENCH_OPT_LEVEL")),
        ("profile", profile),
        ("panic", panic),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// How two binaries differ in what they say of how they were built.
#[cfg(feature = "tool")]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// The fields that differ, with both values.
    pub(crate) different: Vec<String>,
    /// The fields that one of them does not tell.
    unknown: Vec<String>,
    /// Does neither tell anything?
    silent: bool,
}

#[cfg(feature = "tool")]
impl Built {
    pub(crate) fn of(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Self {
        let mut built = Self {
            different: Vec::new(),
            unknown: Vec::new(),
            silent: a.is_empty() && b.is_empty(),
        };
        let others = b.keys().filter(|name| !a.contains_key(*name));
        for name in a.keys().chain(others) {
            match (a.get(name), b.get(name)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => built.different.push(format!("{name}: `{a}` and `{b}`")),
                _ => built.unknown.push(name.clone()),
            }
        }
        built
    }

    /// What is not known of it. Trials of older revisions do not tell how they were built.
    pub(crate) fn unknown(&self) -> Option<String> {
        let what = match self.silent {
            true => "neither says how".to_owned(),
            false if self.unknown.is_empty() => return None,
            false => self.unknown.join(", "),
        };
        Some(format!(
            "whether both sides were built alike is unknown: {what}"
        ))
    }
}

#[cfg(all(test, feature = "tool"))]
mod tests {
    use super::*;

    fn fields(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.iter().map(own).collect()
    }

    #[test]
    fn what_differs_is_named_and_what_one_side_does_not_tell_is_unknown() {
        let check = |a: &[(&str, &str)], b: &[(&str, &str)], different: &[&str], unknown: &str| {
            let built = Built::of(&fields(a), &fields(b));
            assert_eq!(built.different, different, "{a:?} {b:?}");
            let told = built.unknown().unwrap_or_default();
            let told = told.rsplit(": ").next().unwrap_or_default();
            assert_eq!(told, unknown, "{a:?} {b:?}");
        };
        let new = [("allocator", "system"), ("rustc", "1.95")];
        check(&new, &new, &[], "");
        let other = [("allocator", "system"), ("rustc", "1.96")];
        check(&new, &other, &["rustc: `1.95` and `1.96`"], "");
        check(&new, &[], &[], "allocator, rustc");
        check(&[("rustc", "1.95")], &new, &[], "allocator");
        check(&[], &[], &[], "neither says how");
    }

    #[test]
    fn the_compiler_and_its_flags_are_known() {
        let here = here();
        assert!(here["rustc"].starts_with("1."), "{here:?}");
        assert!(here["target"].contains(std::env::consts::ARCH), "{here:?}");
        assert!(!here["opt_level"].is_empty(), "{here:?}");
        assert!(here.contains_key("rustflags"), "{here:?}");
    }
}
