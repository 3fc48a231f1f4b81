//! From readings to levels, with hysteresis. Pure.
//!
//! A level is entered at once when one of its signs is there, because memory runs out fast. It is left only when all of
//! its signs have been below a lower mark for a while: a run that has just freed its buffers must not take them again at
//! once. It is left for the level that the readings still speak for, which may be more than one step down.

use std::time::Duration;

use super::Level;

/// What one look has shown, in percent; `None` where there is nothing to see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Memory used of the limit.
    pub(super) used: Option<f64>,
    /// Time in which some tasks waited for memory, average of 10 s.
    pub(super) some: Option<f64>,
    /// Time in which all tasks waited for memory, average of 10 s.
    pub(super) full: Option<f64>,
}

/// Where a level begins and where it ends, in percent.
struct Marks {
    level: Level,
    used: (f64, f64),
    some: (f64, f64),
    full: (f64, f64),
}

/// The critical mark of `some` is that at which systemd-oomd acts by default (`oomd.conf(5)`).
const MARKS: [Marks; 3] = [
    Marks {
        level: Level::Some,
        used: (80.0, 75.0),
        some: (10.0, 5.0),
        full: (2.0, 1.0),
    },
    Marks {
        level: Level::High,
        used: (90.0, 85.0),
        some: (30.0, 15.0),
        full: (10.0, 5.0),
    },
    Marks {
        level: Level::Critical,
        used: (97.0, 92.0),
        some: (60.0, 40.0),
        full: (40.0, 20.0),
    },
];

/// The level, as time goes by.
#[derive(Debug)]
pub(super) struct Hysteresis {
    hold: Duration,
    level: Level,
    /// When a reading last spoke for the level.
    spoken: Duration,
}

impl Hysteresis {
    pub(super) fn new(hold: Duration) -> Self {
        Self {
            hold,
            level: Level::None,
            spoken: Duration::ZERO,
        }
    }

    /// The level after a reading at `now`.
    pub(super) fn step(&mut self, now: Duration, reading: Reading) -> Level {
        let entered = reading.level(|(enter, _)| enter);
        let kept = reading.level(|(_, leave)| leave);
        if entered > self.level {
            self.level = entered;
            self.spoken = now;
        } else if kept >= self.level {
            self.spoken = now;
        } else if now.saturating_sub(self.spoken) >= self.hold {
            self.level = kept;
            self.spoken = now;
        }
        self.level
    }
}

impl Reading {
    /// The highest level of which a sign is there.
    fn level(&self, mark: impl Fn((f64, f64)) -> f64) -> Level {
        let reached = |marks: &&Marks| {
            [
                (self.used, marks.used),
                (self.some, marks.some),
                (self.full, marks.full),
            ]
            .into_iter()
            .any(|(seen, marks)| seen.is_some_and(|seen| seen >= mark(marks)))
        };
        MARKS
            .iter()
            .filter(reached)
            .map(|marks| marks.level)
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of `time in ms: used / some / full -> level`, `-` for what is not there.
    #[track_caller]
    fn check(sequence: &str) {
        let mut state = Hysteresis::new(Duration::from_millis(1000));
        for line in sequence
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let (time, rest) = line.split_once(':').expect("a time");
            let (reading, level) = rest.split_once("->").expect("a level");
            let mut numbers = reading.split('/').map(|number| number.trim().parse().ok());
            let mut next = || numbers.next().expect("three numbers");
            let reading = Reading {
                used: next(),
                some: next(),
                full: next(),
            };
            let now = Duration::from_millis(time.trim().parse().expect("a time"));
            assert_eq!(state.step(now, reading).to_string(), level.trim(), "{line}");
        }
    }

    #[test]
    fn a_level_is_entered_at_once_and_left_after_its_hold() {
        check(
            "0: 50 / - / - -> none
             100: 79.9 / - / - -> none
             200: 80 / - / - -> some
             300: 76 / - / - -> some
             400: 74 / - / - -> some
             1200: 74 / - / - -> some
             1300: 74 / - / - -> none",
        );
    }

    #[test]
    fn a_level_rises_by_several_steps_and_falls_to_what_is_still_true() {
        check(
            "0: 98 / - / - -> critical
             100: 86 / - / - -> critical
             1000: 86 / - / - -> high
             1900: 60 / - / - -> high
             1950: 60 / - / - -> high
             2000: 60 / - / - -> none",
        );
    }

    #[test]
    fn a_reading_between_the_marks_holds_the_level_and_starts_none() {
        check(
            "0: 88 / - / - -> some
             5000: 88 / - / - -> some
             5100: 90 / - / - -> high
             9000: 86 / - / - -> high
             9500: 84 / - / - -> high
             9900: 86 / - / - -> high
             10800: 84 / - / - -> high
             10900: 84 / - / - -> some",
        );
    }

    #[test]
    fn stalls_count_as_much_as_usage() {
        check(
            "0: 10 / 9.99 / 1.99 -> none
             100: 10 / 12 / 0 -> some
             200: 10 / 12 / 10.5 -> high
             300: - / 61 / - -> critical
             400: - / 45 / 0 -> critical
             1300: - / 39 / 19 -> critical
             1400: - / 39 / 19 -> high
             2400: - / - / - -> none",
        );
    }

    /// Signs that are there for a moment and gone for so many milliseconds, for an hour.
    #[test]
    fn however_signs_flicker_between_two_levels_there_is_at_most_one_change_in_two_seconds() {
        let used = |percent| Reading {
            used: Some(percent),
            ..Reading::default()
        };
        for gap in [100, 900, 1_900, 3_900, 4_000, 4_100, 8_200, 60_000] {
            for (calm, scarce) in [(50.0, 81.0), (81.0, 91.0), (91.0, 98.0)] {
                let mut state = Hysteresis::new(super::super::HOLD);
                let mut before = state.step(Duration::ZERO, used(calm));
                let mut changes = 0;
                for now in (0..3_600_000).step_by(100) {
                    let percent = if now % (gap + 100) < 100 {
                        scarce
                    } else {
                        calm
                    };
                    let level = state.step(Duration::from_millis(now), used(percent));
                    changes += u64::from(level != before);
                    before = level;
                }
                assert!(
                    changes <= 3_600 / 2 + 1,
                    "{changes} changes with gaps of {gap} ms"
                );
                assert!(changes > 0, "the signs are never seen");
            }
        }
    }

    #[test]
    fn a_level_that_flickers_is_one_level() {
        let mut state = Hysteresis::new(Duration::from_secs(1));
        let mut changes = 0;
        let mut before = Level::None;
        for i in 0..200u64 {
            let used = Some(if i % 2 == 0 { 91.0 } else { 50.0 });
            let level = state.step(
                Duration::from_millis(i * 100),
                Reading {
                    used,
                    ..Reading::default()
                },
            );
            changes += usize::from(level != before);
            before = level;
        }
        assert_eq!((changes, before), (1, Level::High));
    }
}
