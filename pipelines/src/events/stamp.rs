//! The times of the formats, in milliseconds since 1970 in UTC.

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{parse, types::Format};

/// Reads a day and a time of day as the format writes them; nothing if there is no such time.
pub(super) fn read(format: Format, date: &str, time: &str, year: i16) -> Option<i64> {
    match format {
        Format::Json => json(date),
        Format::Syslog | Format::OpenSsh => {
            let (month, day) = date.split_once(' ')?;
            millis(year, parse::month(month)?, number(day.trim_start())?, time)
        }
        Format::Apache => apache(date),
        Format::Hdfs => {
            let (year, month, day) = (date.get(..2)?, date.get(2..4)?, date.get(4..)?);
            let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
            // Hadoop is younger than 2000.
            let year = 2000 + number::<i16>(year)?;
            let time = [hour, ":", minute, ":", second].concat();
            millis(year, number(month)?, number(day)?, &time)
        }
        Format::Zookeeper | Format::OpenStack => {
            let mut fields = date.split('-');
            let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
            millis(number(year)?, number(month)?, number(day)?, time)
        }
    }
}

/// `"2026-11-22T07:00:00Z"`, or a number of milliseconds.
fn json(value: &str) -> Option<i64> {
    match value
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        Some(text) => {
            let at: Timestamp = text.parse().ok()?;
            Some(at.as_millisecond())
        }
        None => {
            let at = Timestamp::from_millisecond(value.parse().ok()?).ok()?;
            Some(at.as_millisecond())
        }
    }
}

/// `Sun Dec 04 04:47:44 2005`.
fn apache(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let (month, day) = (words.next()?, words.next()?);
    let (time, year) = (words.next()?, words.next()?);
    millis(number(year)?, parse::month(month)?, number(day)?, time)
}

/// A time of day is `15:16:01`, with `.` or `,` before its fraction.
fn millis(year: i16, month: i8, day: i8, time: &str) -> Option<i64> {
    let (clock, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let mut fields = clock.split(':');
    let (hour, minute, second) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let thousandths = match fraction.get(..3).unwrap_or(fraction) {
        "" => 0,
        digits => number::<i32>(digits)? * 10_i32.pow(3 - digits.len() as u32),
    };
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let nanos = thousandths * 1_000_000;
    let at = civil::DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    Some(TimeZone::UTC.to_timestamp(at).ok()?.as_millisecond())
}

/// Digits and nothing else: `parse` would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_formats_are_read() {
        let check = |format, date: &str, time: &str, expect: Option<&str>| {
            let expect = expect.map(|text| text.parse::<Timestamp>().expect(text));
            let found = read(format, date, time, 2024);
            assert_eq!(
                found,
                expect.map(Timestamp::as_millisecond),
                "{date} {time}"
            );
        };
        check(
            Format::Syslog,
            "Jun 14",
            "15:16:01",
            Some("2024-06-14T15:16:01Z"),
        );
        check(
            Format::Syslog,
            "Jul  7",
            "08:06:15",
            Some("2024-07-07T08:06:15Z"),
        );
        check(
            Format::OpenSsh,
            "Feb 29",
            "00:00:00",
            Some("2024-02-29T00:00:00Z"),
        );
        let apache = "Sun Dec 04 04:47:44 2005";
        check(Format::Apache, apache, "", Some("2005-12-04T04:47:44Z"));
        let apache = "Fri Sep 09 10:42:29.902022 2011";
        check(Format::Apache, apache, "", Some("2011-09-09T10:42:29.902Z"));
        check(
            Format::Hdfs,
            "081109",
            "203615",
            Some("2008-11-09T20:36:15Z"),
        );
        let (day, time) = ("2015-07-29", "17:41:44,747");
        check(
            Format::Zookeeper,
            day,
            time,
            Some("2015-07-29T17:41:44.747Z"),
        );
        let (day, time) = ("2017-05-16", "00:00:00.008");
        check(
            Format::OpenStack,
            day,
            time,
            Some("2017-05-16T00:00:00.008Z"),
        );
        let text = "\"2026-11-22T07:00:00.5+01:00\"";
        check(Format::Json, text, "", Some("2026-11-22T06:00:00.5Z"));
        check(Format::Json, "1500", "", Some("1970-01-01T00:00:01.5Z"));
    }

    #[test]
    fn times_that_cannot_be_are_none() {
        let check = |format, date: &str, time: &str| {
            assert_eq!(read(format, date, time, 2023), None, "{date} {time}");
        };
        check(Format::Syslog, "Feb 29", "00:00:00");
        check(Format::Syslog, "Jun 31", "00:00:00");
        check(Format::Syslog, "Jun 14", "24:00:00");
        check(Format::Syslog, "Jun 14", "10:00");
        check(Format::Syslog, "Jun 14", "10:00:00:00");
        check(Format::Syslog, "Jun +4", "10:00:00");
        check(Format::Syslog, "Jun", "10:00:00");
        check(Format::Apache, "1, 2", "");
        check(Format::Hdfs, "081399", "203615");
        check(Format::Zookeeper, "2015-13-29", "17:41:44,747");
        check(Format::Json, "\"yesterday\"", "");
        check(Format::Json, "1e400", "");
        check(Format::Json, "99999999999999999", "");
        check(Format::Json, "[1]", "");
    }
}
