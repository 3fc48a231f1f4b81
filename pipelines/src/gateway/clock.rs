//! The time that policies see: UTC, in numbers, from one place, so that a test or a replay can choose it.

use jiff::{Timestamp, tz::TimeZone};

/// What time it is for policies.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// Always this.
    Fixed(Time),
}

impl Clock {
    /// The present time.
    pub fn now(self) -> Time {
        match self {
            Self::System => Time(Timestamp::now()),
            Self::Fixed(time) => time,
        }
    }
}

/// A point in time; without another word, 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(Timestamp);

impl Time {
    /// As policies see it: `weekday` is 1 on Mondays and 7 on Sundays.
    pub fn fields(self) -> [(&'static str, i64); 6] {
        let there = self.0.to_zoned(TimeZone::UTC);
        [
            ("unix_s", self.0.as_second()),
            ("weekday", i64::from(there.weekday().to_monday_one_offset())),
            ("day", i64::from(there.day())),
            ("hour", i64::from(there.hour())),
            ("minute", i64::from(there.minute())),
            ("second", i64::from(there.second())),
        ]
    }
}

impl std::fmt::Display for Time {
    /// In RFC 3339, with milliseconds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_see_the_time_in_utc() {
        let time: Time = "2026-01-05T13:07:09.5+02:00".parse().expect("a time");
        let expect = [
            ("unix_s", 1_767_611_229),
            ("weekday", 1),
            ("day", 5),
            ("hour", 11),
            ("minute", 7),
            ("second", 9),
        ];
        assert_eq!(time.fields(), expect);
        assert_eq!(time.to_string(), "2026-01-05T11:07:09.500Z");
        assert_eq!(Clock::Fixed(time).now(), time);
    }
}
