//! Text for HTML.

/// The text, with what HTML would read as markup replaced.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Neither XML nor HTML has a way to write these.
            control if control.is_control() && !matches!(control, '\n' | '\t') => {
                escaped.push('\u{FFFD}')
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// JSON that cannot end the `<script>` around it; a JSON parser reads the same value.
pub(crate) fn json_in_script(json: &str) -> String {
    // `<` is only ever within strings.
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_text() {
        for (text, expect) in [
            ("a < b & c", "a &lt; b &amp; c"),
            (
                "<script>alert('x')</script>",
                "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
            ),
            ("\u{1b}[31m", "\u{FFFD}[31m"),
        ] {
            assert_eq!(html(text), expect);
        }
    }

    #[test]
    fn json_cannot_end_its_script() {
        assert_eq!(
            json_in_script(r#"{"a":"</script>"}"#),
            r#"{"a":"\u003c/script>"}"#
        );
    }
}
