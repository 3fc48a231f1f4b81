//! Bars beside each other, such as the utilisation of stages.

use plotters::style::text_anchor::{HPos, VPos};

use super::rows::Rows;
use crate::{
    axis::Axis,
    canvas::{self, Area, Chart, DrawError, Drawing},
    colour::Colour,
};

/// A bar for each of several things, all over one axis that begins at zero.
///
/// ```
/// use pipewright_draw::{Axis, Bars, Chart, Colour, Unit};
///
/// let bars = Bars::new("Utilisation of stages", Axis::new("busy", Unit::Percent).at_most(1.0))
///     .bar("decode", 0.41)
///     .coloured("verify", 0.97, Colour::Bad);
/// assert!(bars.draw()?.wide.contains("97 %"));
/// # Ok::<(), pipewright_draw::DrawError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bars {
    title: String,
    axis: Axis,
    bars: Vec<(String, f64, Colour)>,
}

impl Bars {
    /// No bars yet.
    pub fn new(title: impl Into<String>, axis: Axis) -> Self {
        Bars {
            title: title.into(),
            axis: axis.from_zero(),
            bars: Vec::new(),
        }
    }

    /// A bar under those before it. What is no number is said to be missing.
    #[must_use]
    pub fn bar(self, label: impl Into<String>, value: f64) -> Self {
        self.coloured(label, value, Colour::Series(0))
    }

    /// A bar in a colour of its own.
    #[must_use]
    pub fn coloured(mut self, label: impl Into<String>, value: f64, colour: Colour) -> Self {
        self.bars.push((label.into(), value, colour));
        self
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        self.bars.iter().map(|(label, ..)| label.as_str())
    }

    fn rows(&self, width: u32) -> Rows {
        let values: Vec<String> = self
            .bars
            .iter()
            .map(|(_, value, _)| self.axis.write(*value))
            .collect();
        Rows::new(width, self.labels(), values.iter().map(String::as_str))
    }

    fn on(&self, area: &Area<'_>) -> Result<(), String> {
        let rows = self.rows(area.dim_in_pixel().0);
        let Some(placed) = rows.place(&self.axis, self.bars.iter().map(|(_, value, _)| *value))
        else {
            return canvas::nothing(area, "nothing was measured");
        };
        rows.frame(
            area,
            &self.axis,
            &placed,
            &self.labels().collect::<Vec<_>>(),
        )?;
        for (row, (_, value, colour)) in self.bars.iter().enumerate() {
            let middle = rows.middle(row);
            if self.axis.holds(*value) {
                let to = (rows.x(&placed, *value), middle + 7);
                canvas::fill(area, (rows.x(&placed, 0.0), middle - 7), to, *colour)?;
            }
            let style = canvas::style(Colour::Ink, HPos::Left, VPos::Center);
            canvas::write(area, &self.axis.write(*value), rows.value_at(row), &style)?;
        }
        Ok(())
    }
}

impl Chart for Bars {
    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> Result<Drawing, DrawError> {
        Drawing::of(
            &self.title,
            |width| self.rows(width).height(),
            |area| self.on(area),
        )
    }
}
