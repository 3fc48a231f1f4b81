//! Where time goes, stage by stage: each row begins where the one above it ended.

use plotters::style::text_anchor::{HPos, VPos};

use super::rows::Rows;
use crate::{
    axis::Axis,
    canvas::{self, Area, Chart, DrawError, Drawing},
    colour::Colour,
};

/// Rows of parts that follow one another, such as the waiting, working and being blocked of each stage.
///
/// ```
/// use pipewright_draw::{Axis, Chart, Unit, Waterfall};
///
/// let waterfall = Waterfall::new("An item's way", Axis::new("since it arrived", Unit::Nanoseconds), ["waits", "works"])
///     .row("decode", [1_200.0, 300.0])
///     .row("price", [9_000.0, 2_100.0]);
/// assert_eq!(waterfall.draw()?.legend.len(), 2);
/// # Ok::<(), pipewright_draw::DrawError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Waterfall {
    title: String,
    axis: Axis,
    parts: Vec<String>,
    rows: Vec<(String, Vec<f64>)>,
}

impl Waterfall {
    /// No rows yet; `parts` is what the parts of each row are called.
    pub fn new<P: Into<String>>(
        title: impl Into<String>,
        axis: Axis,
        parts: impl IntoIterator<Item = P>,
    ) -> Self {
        Waterfall {
            title: title.into(),
            axis: axis.from_zero(),
            parts: parts.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// A row that begins where the one before it ended. Lengths that are not above zero, or no numbers, take no room.
    #[must_use]
    pub fn row(mut self, label: impl Into<String>, parts: impl IntoIterator<Item = f64>) -> Self {
        self.rows.push((label.into(), parts.into_iter().collect()));
        self
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(label, _)| label.as_str())
    }

    fn totals(&self) -> Vec<String> {
        self.rows
            .iter()
            .map(|(_, parts)| {
                self.axis
                    .write(parts.iter().map(|part| length(*part)).sum())
            })
            .collect()
    }

    fn layout(&self, width: u32) -> Rows {
        let totals = self.totals();
        Rows::new(width, self.labels(), totals.iter().map(String::as_str))
    }

    fn on(&self, area: &Area<'_>) -> Result<(), String> {
        let rows = self.layout(area.dim_in_pixel().0);
        let end: f64 = self
            .rows
            .iter()
            .flat_map(|(_, parts)| parts)
            .map(|part| length(*part))
            .sum();
        let Some(placed) = rows.place(&self.axis, [end].into_iter().filter(|end| *end > 0.0))
        else {
            return canvas::nothing(area, "nothing was measured");
        };
        rows.frame(
            area,
            &self.axis,
            &placed,
            &self.labels().collect::<Vec<_>>(),
        )?;
        let mut from = 0.0;
        for ((row, (_, parts)), total) in self.rows.iter().enumerate().zip(self.totals()) {
            let middle = rows.middle(row);
            for (index, part) in parts
                .iter()
                .enumerate()
                .filter(|(_, part)| length(**part) > 0.0)
            {
                let to = from + part;
                let (left, right) = (rows.x(&placed, from), rows.x(&placed, to));
                // What took time can be seen, however little it was.
                let right = right.max(left + 1);
                canvas::fill(
                    area,
                    (left, middle - 8),
                    (right, middle + 8),
                    Colour::Series(index),
                )?;
                from = to;
            }
            let style = canvas::style(Colour::Ink, HPos::Left, VPos::Center);
            canvas::write(area, &total, rows.value_at(row), &style)?;
        }
        Ok(())
    }
}

fn length(part: f64) -> f64 {
    if part.is_finite() { part.max(0.0) } else { 0.0 }
}

impl Chart for Waterfall {
    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> Result<Drawing, DrawError> {
        let mut drawing = Drawing::of(
            &self.title,
            |width| self.layout(width).height(),
            |area| self.on(area),
        )?;
        let named = |(index, name): (usize, &String)| (Colour::Series(index), name.clone());
        drawing.legend = self.parts.iter().enumerate().map(named).collect();
        Ok(drawing)
    }
}
