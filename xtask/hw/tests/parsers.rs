//! What the kernel writes is read, and what is something else is refused: never a wrong value, never a panic.

#![forbid(unsafe_code)]

use pipewright_hw::{
    parse::{chosen, list, mask, pressure, size, to_mask, version},
    thresholds::Thresholds,
};
use proptest::prelude::*;

#[test]
fn lists_of_cpus_are_read() {
    let check =
        |text: &str, expect: Option<&[u32]>| assert_eq!(list(text).as_deref(), expect, "{text:?}");
    check("0-3,8", Some(&[0, 1, 2, 3, 8]));
    check("8,0-3\n", Some(&[0, 1, 2, 3, 8]));
    check("0-2,1-3", Some(&[0, 1, 2, 3]));
    check("", Some(&[]));
    check("(null)", Some(&[]));
    check("3-1", None);
    check("0-99999999", None);
    check("a", None);
    check("1-", None);
    check("-1", None);
}

#[test]
fn masks_of_cpus_are_read() {
    let check =
        |text: &str, expect: Option<&[u32]>| assert_eq!(mask(text).as_deref(), expect, "{text:?}");
    check("f", Some(&[0, 1, 2, 3]));
    check("ff0f\n", Some(&[0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]));
    check("00000001,00000000", Some(&[32]));
    check("80000000,00000000,00000001", Some(&[0, 95]));
    check("0", Some(&[]));
    check("", None);
    check(",", None);
    check("1,,2", None);
    check("0-3", None);
    check("(null)", None);
}

#[test]
fn words_numbers_and_versions_are_read() {
    assert_eq!(chosen("always [madvise] never"), Some("madvise"));
    assert_eq!(chosen("always madvise"), None);
    assert_eq!(chosen("[]"), None);
    assert_eq!(
        pressure("some avg10=1.50 avg60=0\nfull avg10=0.25 avg60=0", "full"),
        Some(0.25)
    );
    assert_eq!(pressure("some avg10=NaN", "some"), None);
    assert_eq!(pressure("max 100000", "some"), None);
    assert_eq!(version("6.18.44-fc"), Some((6, 18)));
    assert_eq!(version("6"), None);
    assert_eq!(size("1024K"), Some(1 << 20));
    assert_eq!(size("24684084 kB"), Some(24_684_084 << 10));
    assert_eq!(size("99999999999999999G"), None);
    assert_eq!(size("K"), None);
}

proptest! {
    #[test]
    fn a_mask_that_is_written_is_read_again(mut cpus in proptest::collection::btree_set(0_u32..300, 0..40)) {
        let all: Vec<u32> = std::mem::take(&mut cpus).into_iter().collect();
        prop_assert_eq!(mask(&to_mask(&all)), Some(all));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}", digits in "[0-9a-f,\\-() \\[\\]maxun.=]{0,60}") {
        for text in [&text, &digits] {
            if let Some(cpus) = list(text) {
                prop_assert!(cpus.windows(2).all(|two| two[0] < two[1]), "{:?}", cpus);
            }
            if let Some(cpus) = mask(text) {
                prop_assert!(cpus.windows(2).all(|two| two[0] < two[1]), "{:?}", cpus);
                prop_assert!(cpus.iter().all(|cpu| (*cpu as usize) < text.len() * 4));
            }
            if let Some(word) = chosen(text) {
                prop_assert!(text.contains(word) && !word.is_empty());
            }
            if let Some(pct) = pressure(text, "") {
                prop_assert!(pct.is_finite());
            }
            let _ = (size(text), version(text), Thresholds::parse(text).is_err());
        }
    }
}
