//! Intervals below each other, with the band in which they say nothing: the verdicts of a comparison.

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

use super::rows::Rows;
use crate::{
    axis::{Axis, Placed},
    canvas::{self, Area, Chart, DrawError, Drawing},
    colour::Colour,
};

/// What is known of a quantity: an estimate and the interval in which it lies.
#[derive(Clone, Debug)]
pub struct Interval {
    label: String,
    estimate: f64,
    low: f64,
    high: f64,
    band: Option<(f64, f64)>,
    detectable: Vec<f64>,
    colour: Colour,
    text: String,
}

impl Interval {
    /// An estimate between `low` and `high`.
    pub fn new(label: impl Into<String>, estimate: f64, (low, high): (f64, f64)) -> Self {
        Interval {
            label: label.into(),
            estimate,
            low,
            high,
            band: None,
            detectable: Vec::new(),
            colour: Colour::Plain,
            text: String::new(),
        }
    }

    /// The band within which a difference does not matter.
    #[must_use]
    pub fn band(mut self, low: f64, high: f64) -> Self {
        self.band = Some((low, high));
        self
    }

    /// Marks the smallest difference that could have been seen, on both sides.
    #[must_use]
    pub fn detectable(mut self, low: f64, high: f64) -> Self {
        self.detectable = vec![low, high];
        self
    }

    /// What follows from it, as a word at its right and a colour.
    #[must_use]
    pub fn verdict(mut self, text: impl Into<String>, colour: Colour) -> Self {
        self.text = text.into();
        self.colour = colour;
        self
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        let band = self.band.into_iter().flat_map(|(low, high)| [low, high]);
        [self.low, self.estimate, self.high]
            .into_iter()
            .chain(band)
            .chain(self.detectable.iter().copied())
    }
}

/// A forest plot.
///
/// ```
/// use pipewright_draw::{Axis, Chart, Colour, Forest, Interval, Unit};
///
/// let forest = Forest::new("main against this change", Axis::new("change", Unit::Change), 1.0)
///     .interval(
///         Interval::new("throughput", 1.062, (1.04, 1.081)).band(0.97, 1.03).verdict("regressed", Colour::Bad),
///     );
/// assert!(forest.draw()?.narrow.contains("regressed"));
/// # Ok::<(), pipewright_draw::DrawError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forest {
    title: String,
    axis: Axis,
    none: f64,
    intervals: Vec<Interval>,
}

impl Forest {
    /// No intervals yet; `none` is the number that says that there is no difference, at which a line is drawn.
    pub fn new(title: impl Into<String>, axis: Axis, none: f64) -> Self {
        Forest {
            title: title.into(),
            axis,
            none,
            intervals: Vec::new(),
        }
    }

    /// An interval under those before it.
    #[must_use]
    pub fn interval(mut self, interval: Interval) -> Self {
        self.intervals.push(interval);
        self
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        self.intervals
            .iter()
            .map(|interval| interval.label.as_str())
    }

    fn rows(&self, width: u32) -> Rows {
        Rows::new(
            width,
            self.labels(),
            self.intervals.iter().map(|interval| interval.text.as_str()),
        )
    }

    fn on(&self, area: &Area<'_>) -> Result<(), String> {
        let rows = self.rows(area.dim_in_pixel().0);
        let numbers = self.intervals.iter().flat_map(Interval::numbers);
        // The line alone is nothing to draw.
        let drawn = self
            .intervals
            .iter()
            .any(|interval| interval.numbers().any(|number| self.axis.holds(number)));
        let axis = self.axis.clone();
        let Some(placed) = rows
            .place(&axis, numbers.chain([self.none]))
            .filter(|_| drawn)
        else {
            return canvas::nothing(area, "nothing was compared");
        };
        rows.frame(area, &axis, &placed, &self.labels().collect::<Vec<_>>())?;
        for (row, interval) in self.intervals.iter().enumerate() {
            self.interval_on(area, &rows, &placed, row, interval)?;
        }
        let x = rows.x(&placed, self.none);
        canvas::stroke(area, (x, 0), (x, rows.bottom()), Colour::Ink, 1)
    }

    fn interval_on(
        &self,
        area: &Area<'_>,
        rows: &Rows,
        placed: &Placed,
        row: usize,
        interval: &Interval,
    ) -> Result<(), String> {
        let middle = rows.middle(row);
        let x = |number: f64| rows.x(placed, number);
        if let Some((low, high)) = interval.band {
            canvas::shade(
                area,
                (x(low), middle - 11),
                (x(high), middle + 11),
                Colour::Plain,
                0.22,
            )?;
        }
        for number in &interval.detectable {
            canvas::stroke(
                area,
                (x(*number), middle - 11),
                (x(*number), middle + 11),
                Colour::Muted,
                1,
            )?;
        }
        if [interval.low, interval.high, interval.estimate]
            .iter()
            .all(|number| self.axis.holds(*number))
        {
            canvas::stroke(
                area,
                (x(interval.low), middle),
                (x(interval.high), middle),
                interval.colour,
                3,
            )?;
            for end in [interval.low, interval.high] {
                canvas::stroke(
                    area,
                    (x(end), middle - 5),
                    (x(end), middle + 5),
                    interval.colour,
                    2,
                )?;
            }
            let diamond = [(0, -7), (7, 0), (0, 7), (-7, 0)]
                .map(|(dx, dy)| (x(interval.estimate) + dx, middle + dy));
            let diamond = Polygon::new(diamond, interval.colour.light().filled());
            area.draw(&diamond).map_err(|error| error.to_string())?;
        }
        let style = canvas::style(interval.colour, HPos::Left, VPos::Center);
        canvas::write(area, &interval.text, rows.value_at(row), &style)
    }
}

impl Chart for Forest {
    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> Result<Drawing, DrawError> {
        let mut drawing = Drawing::of(
            &self.title,
            |width| self.rows(width).height(),
            |area| self.on(area),
        )?;
        if self
            .intervals
            .iter()
            .any(|interval| interval.band.is_some())
        {
            drawing.legend.push((
                Colour::Plain,
                "the band in which a difference does not matter".into(),
            ));
        }
        if self
            .intervals
            .iter()
            .any(|interval| !interval.detectable.is_empty())
        {
            drawing.legend.push((
                Colour::Muted,
                "the smallest difference that could have been seen".into(),
            ));
        }
        Ok(drawing)
    }
}
