//! Where something stands in a text of JSON, for messages: values that were read from it do not know it.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The line and the column, from 1, of what stands behind a path of keys, or behind as many of them as there are.
pub(super) fn place(text: &str, path: &[String]) -> (usize, usize) {
    let mut value = text.trim_start();
    for key in path {
        let fields: Result<HashMap<String, &RawValue>, _> = serde_json::from_str(value);
        let Some(inner) = fields.ok().and_then(|mut fields| fields.remove(key)) else {
            break;
        };
        value = inner.get();
    }
    // It is a part of the text.
    let before = &text[..value.as_ptr() as usize - text.as_ptr() as usize];
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_keys() {
        let text = "\n {\"a\": {\n  \"é\": 1, \"b\\\"c\":\t[2]\n}, \"a.b\": 3}";
        let check = |path: &[&str], expect| {
            let path: Vec<_> = path.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(place(text, &path), expect, "{path:?}");
        };
        check(&[], (2, 2));
        check(&["a"], (2, 8));
        check(&["a", "é"], (3, 8));
        check(&["a", "b\"c"], (3, 19));
        check(&["a.b"], (4, 11));
        check(&["a", "not there", "b"], (2, 8));
        check(&["a.b", "no object"], (4, 11));
    }
}
