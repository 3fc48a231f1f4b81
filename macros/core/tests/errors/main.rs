//! Everything that the macros say, without a compiler: what is written, and what is told about it.

#[path = "../common/mod.rs"]
mod common;

mod attributes;
mod files;
mod futures;
mod pipelines;
mod ron;
mod signatures;
mod unfit;

use common::{errors, expand};

/// Expands `input`, which begins with the attribute, and compares the errors.
#[track_caller]
fn check(input: &str, expect: &[&str]) {
    assert_eq!(errors(expand(input, None)), expect, "{input}");
}

/// As `check`, for a pipeline whose file holds `ron`.
#[track_caller]
fn check_ron(input: &str, ron: &str, expect: &[&str]) {
    assert_eq!(errors(expand(input, Some(ron))), expect, "{input}\n{ron}");
}
