//! Lengths of time, as a dry run's clock takes them.

use std::time::Duration;

use pipewright_spec::units::{self, UnitError};

/// A length of time: a [`Duration`], or a text with a unit such as `"50us"`.
pub trait IntoSpan {
    /// The length.
    ///
    /// # Errors
    ///
    /// If a text is not a time with a unit.
    fn into_span(self) -> Result<Duration, SpanError>;
}

/// A text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; {help}", help = .0.help())]
pub struct SpanError(UnitError);

impl IntoSpan for Duration {
    fn into_span(self) -> Result<Duration, SpanError> {
        Ok(self)
    }
}

impl IntoSpan for &str {
    fn into_span(self) -> Result<Duration, SpanError> {
        match units::Duration::parse(self) {
            Ok(span) => Ok(span.to_std()),
            Err(error) => Err(SpanError(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Duration, &str>) {
        let span = text.into_span().map_err(|error| error.to_string());
        assert_eq!(span, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_text_with_a_unit_is_a_span() {
        check("50us", Ok(Duration::from_micros(50)));
        check("2s", Ok(Duration::from_secs(2)));
    }

    #[test]
    fn a_text_without_a_unit_is_an_error_that_says_what_to_write() {
        check(
            "50",
            Err("a time has a unit, and `\"50\"` has none; write \"50us\" or \"50ms\""),
        );
        check(
            "soon",
            Err("`\"soon\"` is not a time; write a whole number and a unit, like \"50us\""),
        );
    }
}
