//! "Did you mean": the candidate nearest to a misspelt word.

/// The candidate that `word` is most likely a misspelling of, if one is near enough.
///
/// Near enough is one edit for each three characters of the word, a swap counting as one, and at
/// least one; a candidate that differs only in case always is.
///
/// ```
/// use pipewright_spec::suggest::nearest;
///
/// assert_eq!(nearest("wrokers", ["workers", "queue"]), Some("workers"));
/// assert_eq!(nearest("banana", ["workers", "queue"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic, and a hostile file may hold a word of a megabyte.
    if word.chars().nth(MAX_LEN).is_some() {
        return None;
    }
    let folded = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 4 * MAX_LEN)
        .map(|candidate| {
            (
                strsim::osa_distance(&folded, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words than this have no neighbours.
const MAX_LEN: usize = 64;

/// The help line for an option that is not there: where what it would do is done, the nearest one, or all.
#[allow(
    single_use_lifetimes,
    reason = "an `impl Trait` cannot leave its lifetime out yet"
)]
pub fn option<'a>(name: &str, options: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match name {
        "jemalloc" => "a program has one allocator, which is set up when it is linked: write \
                       `pipewright::jemalloc_conf!(\"narenas:4\");` in its `main.rs`"
            .to_owned(),
        _ => help(name, "its options", options),
    }
}

/// The help line for a word that is none of `candidates`: the nearest one, or all of them.
///
/// `what` introduces the list, for example `stages here`.
#[allow(
    single_use_lifetimes,
    reason = "an `impl Trait` cannot leave its lifetime out yet"
)]
pub fn help<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(found) = nearest(word, candidates.clone()) {
        return format!("did you mean `{found}`?");
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() {
        return format!("{what}: none");
    }
    let shown = all
        .iter()
        .take(MAX_LISTED)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > MAX_LISTED {
        return format!("{what}: {shown} and {} more", all.len() - MAX_LISTED);
    }
    format!("{what}: {shown}")
}

/// Longer lists are cut.
const MAX_LISTED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        #[track_caller]
        fn check(word: &str, expect: Option<&str>) {
            let found = nearest(
                word,
                ["workers", "queue", "cores", "wait", "order", "on_error"],
            );
            assert_eq!(found, expect, "{word}");
        }
        check("wrokers", Some("workers"));
        check("worker", Some("workers"));
        check("QUEUE", Some("queue"));
        check("core", Some("cores"));
        check("wiat", Some("wait"));
        check("onerror", Some("on_error"));
        check("x", None);
        check("", None);
        check("something", None);
        check(&"w".repeat(1 << 20), None);
    }

    #[test]
    fn without_a_neighbour_all_words_are_listed() {
        assert_eq!(
            help("decod", "stages here", ["decode", "verify"]),
            "did you mean `decode`?"
        );
        assert_eq!(
            help("banana", "stages here", ["decode", "verify"]),
            "stages here: `decode`, `verify`"
        );
        assert_eq!(help("banana", "stages here", []), "stages here: none");
        let many: Vec<String> = (0..MAX_LISTED + 6)
            .map(|n| format!("stage_number_{n}"))
            .collect();
        assert!(
            help("banana", "stages here", many.iter().map(String::as_str)).ends_with("and 6 more")
        );
    }
}
