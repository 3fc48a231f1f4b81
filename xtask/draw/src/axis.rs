//! Axes: what is on them, their scale, and where their ticks are.
//!
//! `plotters` has logarithmic axes, but their ticks are at odd places, and none for percentiles; so the scales are ours, as an
//! implementation of its [`Ranged`].

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::format;

/// What the numbers of an axis, of cells or of bars are, and so how they are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unit {
    /// A time: `21 ns`, `2.1 ms`.
    Nanoseconds,
    /// A time since something began, in seconds: `10 s`.
    Seconds,
    /// Bytes in powers of 1024: `64 KiB`.
    Bytes,
    /// Bytes per second in powers of 1024: `8 GiB/s`.
    BytesPerSecond,
    /// A number of things: `12.5 k`.
    Count,
    /// Things per second: `12.5 k/s`.
    PerSecond,
    /// A part of a whole, of which 1 is all: `3.1 %`.
    Percent,
    /// A ratio of two of a kind, as its change: `1.021` is `+2.1 %`.
    Change,
    /// A number as it is.
    Number,
}

impl Unit {
    /// The number as people read it.
    pub fn write(self, number: f64) -> String {
        match self {
            Unit::Nanoseconds => format::nanoseconds(number),
            Unit::Seconds => format!("{} s", format::digits(number)),
            Unit::Bytes => format::bytes(number),
            Unit::BytesPerSecond => format!("{}/s", format::bytes(number)),
            Unit::Count => format::count(number),
            Unit::PerSecond => format!("{}/s", format::count(number)),
            Unit::Percent => format::percent(number),
            Unit::Change => format::change(number),
            Unit::Number => format::digits(number),
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Unit::Bytes | Unit::BytesPerSecond)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scale {
    Linear,
    Log,
    Tail,
}

/// An axis: its name, what its numbers are, and how they are laid out.
#[derive(Clone, Debug)]
pub struct Axis {
    name: String,
    unit: Unit,
    scale: Scale,
    low: Option<f64>,
    high: Option<f64>,
}

impl Axis {
    /// An axis on which equal distances are equal differences. It reaches as far as what is drawn.
    pub fn new(name: impl Into<String>, unit: Unit) -> Self {
        Axis {
            name: name.into(),
            unit,
            scale: Scale::Linear,
            low: None,
            high: None,
        }
    }

    /// An axis of percentiles, on which each further nine takes as much room as the one before: its numbers are parts of all
    /// from 0 to below 1, drawn as `log10(1 / (1 - q))`.
    pub fn tail(name: impl Into<String>) -> Self {
        Axis {
            scale: Scale::Tail,
            ..Axis::new(name, Unit::Percent)
        }
        .from_zero()
    }

    /// Makes equal distances equal ratios. Numbers that are not above 1e-18 cannot be drawn on such an axis and are left out.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.scale = Scale::Log;
        self
    }

    /// Begins at zero whatever is drawn; does nothing on a logarithmic axis.
    #[must_use]
    pub fn from_zero(self) -> Self {
        self.at_least(0.0)
    }

    /// Reaches down to this number, or lower if what is drawn does.
    #[must_use]
    pub fn at_least(mut self, low: f64) -> Self {
        self.low = Some(low);
        self
    }

    /// Reaches up to this number, or higher if what is drawn does.
    #[must_use]
    pub fn at_most(mut self, high: f64) -> Self {
        self.high = Some(high);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn write(&self, number: f64) -> String {
        match self.scale {
            Scale::Tail => percentile(number),
            _ => self.unit.write(number),
        }
    }

    /// Whether the number has a place on this axis.
    pub(crate) fn holds(&self, number: f64) -> bool {
        number.abs() <= MOST
            && match self.scale {
                Scale::Linear => true,
                Scale::Log => number >= LEAST,
                Scale::Tail => (0.0..1.0).contains(&number),
            }
    }

    /// The axis for these numbers, with room for ticks whose labels are `label` pixels long, or nothing if there are no numbers.
    pub(crate) fn place(
        &self,
        numbers: impl Iterator<Item = f64>,
        pixels: u32,
        along: Along,
    ) -> Option<Placed> {
        let (low, high) = self.extent(numbers)?;
        let mut placed = Placed {
            scale: self.scale,
            low,
            high,
            ticks: Vec::new(),
        };
        let mut ticks = placed.all_ticks(self.unit);
        thin(&mut ticks, |ticks| {
            placed.fits(ticks, pixels, along, &|tick| self.write(tick))
        });
        placed.ticks = ticks;
        Some(placed)
    }

    fn extent(&self, numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let drawn = numbers.filter(|number| self.holds(*number));
        let wished = [self.low, self.high]
            .into_iter()
            .flatten()
            .filter(|number| self.holds(*number));
        let mut any = false;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for number in drawn.inspect(|_| any = true).chain(wished) {
            low = low.min(number);
            high = high.max(number);
        }
        any.then(|| self.widen(low, high))
    }

    /// A range has an inside, and a linear one ends a little behind the last point.
    fn widen(&self, low: f64, high: f64) -> (f64, f64) {
        match self.scale {
            Scale::Log if low == high => (low / 2.0, high * 2.0),
            Scale::Log => (low, high * (high / low).powf(0.02)),
            Scale::Tail => (0.0, high.max(0.99)),
            Scale::Linear => {
                let span = if low == high {
                    low.abs().max(1.0)
                } else {
                    high - low
                };
                // Where nothing is below zero, room below zero would say that something could be.
                let below = if self.low.is_some_and(|wished| wished <= low) || low == 0.0 {
                    0.0
                } else {
                    span * 0.04
                };
                let low_end = if low > 0.0 {
                    (low - below).max(0.0)
                } else {
                    low - below
                };
                (low_end, high + span * 0.04)
            }
        }
    }
}

/// A percentile as people call it: 0.999 is `p99.9`.
fn percentile(part: f64) -> String {
    if !part.is_finite() {
        return "n/a".into();
    }
    // Rounded, because 0.99999 has binary digits behind it.
    let percent = format!("{:.6}", part * 100.0);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// Numbers beyond these have no place on an axis, on which distances would not be numbers any more.
const MOST: f64 = 1e18;
const LEAST: f64 = 1e-18;

/// Whether labels stand beside or above each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Along {
    X,
    Y,
}

/// An axis with its range and its ticks, as `plotters` uses it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

/// Pixels that a letter of a label takes, on average, and a line of them.
pub(crate) const LETTER: f64 = 7.4;
pub(crate) const LINE: f64 = 26.0;

impl Placed {
    pub(crate) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    fn warp(&self, number: f64) -> f64 {
        match self.scale {
            Scale::Linear => number,
            Scale::Log => number.log10(),
            Scale::Tail => -(1.0 - number).log10(),
        }
    }

    /// Where on the axis the number is, between 0 and 1; outside of the range it is the end.
    fn part(&self, number: f64) -> f64 {
        let (low, high) = (self.warp(self.low), self.warp(self.high));
        ((self.warp(number) - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn all_ticks(&self, unit: Unit) -> Vec<f64> {
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, unit),
            Scale::Log if unit.is_binary() => powers(self.low, self.high, 2.0, &[1.0]),
            Scale::Log if self.high / self.low < 3.0 => linear_ticks(self.low, self.high, unit),
            Scale::Log if self.high / self.low < 30.0 => {
                powers(self.low, self.high, 10.0, &[1.0, 2.0, 5.0])
            }
            Scale::Log => powers(self.low, self.high, 10.0, &[1.0]),
            Scale::Tail => tail_ticks(self.high),
        }
    }

    fn fits(
        &self,
        ticks: &[f64],
        pixels: u32,
        along: Along,
        write: &dyn Fn(f64) -> String,
    ) -> bool {
        let needs = |tick: f64| match along {
            Along::X => write(tick).chars().count() as f64 * LETTER + 12.0,
            Along::Y => LINE,
        };
        ticks.windows(2).all(|pair| {
            let apart = (self.part(pair[1]) - self.part(pair[0])) * f64::from(pixels);
            apart >= (needs(pair[0]) + needs(pair[1])) / 2.0
        })
    }
}

impl Ranged for Placed {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let length = f64::from(limit.1 - limit.0);
        // The part is between 0 and 1, so the sum is between the limits.
        limit.0 + (self.part(*value) * length).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Takes ticks away until the rest fits: every second one, counted from the first.
fn thin(ticks: &mut Vec<f64>, fits: impl Fn(&[f64]) -> bool) {
    while ticks.len() > 2 && !fits(ticks) {
        let mut index = 0;
        ticks.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
    if ticks.len() == 2 && !fits(ticks) {
        ticks.truncate(1);
    }
}

/// About ten round numbers within the range: multiples of 1, 2 or 5 times a power of ten, of the unit that they are written in.
fn linear_ticks(low: f64, high: f64, unit: Unit) -> Vec<f64> {
    let size = match unit {
        _ if unit.is_binary() && high >= 1024.0 => 1024f64.powf(high.log(1024.0).floor()),
        _ => 1.0,
    };
    let rough = (high - low) / 10.0 / size;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough);
    let step = step.unwrap_or(rough) * size;
    // There is no half of a thing.
    let step = if matches!(unit, Unit::Count) {
        step.max(1.0)
    } else {
        step
    };
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(0.0, 20.0) as u32;
    (0..=count)
        .map(|index| (first + f64::from(index)) * step)
        .collect()
}

fn powers(low: f64, high: f64, base: f64, times: &[f64]) -> Vec<f64> {
    let first = low.log(base).floor() as i32;
    let last = high.log(base).ceil() as i32;
    (first..=last)
        .flat_map(|exponent| times.iter().map(move |times| times * base.powi(exponent)))
        .filter(|tick| (low * 0.999..=high * 1.001).contains(tick))
        .collect()
}

fn tail_ticks(high: f64) -> Vec<f64> {
    let nines = (1..=9).map(|nines| 1.0 - 10f64.powi(-nines));
    [0.0, 0.5]
        .into_iter()
        .chain(nines)
        .filter(|tick| *tick <= high + 1e-12)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(axis: &Axis, numbers: &[f64], pixels: u32, expect: &[&str]) {
        let placed = axis
            .place(numbers.iter().copied(), pixels, Along::X)
            .expect("there are numbers");
        let labels: Vec<String> = placed
            .ticks()
            .iter()
            .map(|tick| axis.write(*tick))
            .collect();
        assert_eq!(labels, expect);
    }

    #[test]
    fn ticks_are_round_and_as_many_as_fit() {
        let time = Axis::new("time", Unit::Seconds).from_zero();
        check(
            &time,
            &[0.0, 10.0],
            800,
            &["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"],
        );
        check(&time, &[0.0, 10.0], 150, &["0 s", "4 s", "8 s"]);
        let rate = Axis::new("rate", Unit::BytesPerSecond).from_zero();
        let gib = f64::from(1 << 30);
        check(
            &rate,
            &[3.0 * gib],
            800,
            &[
                "0 B/s",
                "512 MiB/s",
                "1 GiB/s",
                "1.5 GiB/s",
                "2 GiB/s",
                "2.5 GiB/s",
                "3 GiB/s",
            ],
        );
        check(
            &Axis::new("cpus", Unit::Count),
            &[1.0, 3.0],
            800,
            &["1", "2", "3"],
        );
        let size = Axis::new("size", Unit::Bytes).log();
        check(
            &size,
            &[16_384.0, 262_144.0],
            800,
            &["16 KiB", "32 KiB", "64 KiB", "128 KiB", "256 KiB"],
        );
        let latency = Axis::new("latency", Unit::Nanoseconds).log();
        check(
            &latency,
            &[500.0, 2e6],
            800,
            &["1 us", "10 us", "100 us", "1 ms"],
        );
        check(
            &latency,
            &[40.0, 200.0],
            800,
            &["50 ns", "100 ns", "200 ns"],
        );
        check(
            &latency,
            &[180.0, 320.0],
            800,
            &[
                "180 ns", "200 ns", "220 ns", "240 ns", "260 ns", "280 ns", "300 ns", "320 ns",
            ],
        );
    }

    #[test]
    fn percentiles_have_a_tick_for_each_nine() {
        check(
            &Axis::tail("q"),
            &[0.5, 0.9999],
            800,
            &["p0", "p50", "p90", "p99", "p99.9", "p99.99"],
        );
    }

    #[test]
    fn what_has_no_place_on_an_axis_is_left_out() {
        let log = Axis::new("latency", Unit::Nanoseconds).log();
        for (number, expect) in [
            (1.0, true),
            (0.0, false),
            (-1.0, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(log.holds(number), expect, "{number}");
        }
        assert!(
            log.place([0.0, f64::NAN].into_iter(), 800, Along::X)
                .is_none()
        );
        assert!(!Axis::tail("q").holds(1.0));
    }

    #[test]
    fn one_number_has_room_on_both_sides() {
        for axis in [
            Axis::new("a", Unit::Number),
            Axis::new("a", Unit::Number).log(),
        ] {
            let placed = axis
                .place([5.0].into_iter(), 800, Along::X)
                .expect("there is a number");
            assert!(placed.low < 5.0 && 5.0 < placed.high, "{placed:?}");
        }
    }

    #[test]
    fn numbers_map_into_the_pixels_whatever_they_are() {
        let placed = Axis::new("a", Unit::Number)
            .log()
            .place([1.0, 100.0].into_iter(), 800, Along::X)
            .expect("numbers");
        for number in [1.0, 10.0, 100.0, 1e9, 0.0, -3.0] {
            let pixel = placed.map(&number, (10, 110));
            assert!((10..=110).contains(&pixel), "{number} is at {pixel}");
        }
        assert_eq!(placed.map(&1.0, (10, 110)), 10);
    }
}
