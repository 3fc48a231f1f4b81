//! Cells in rows and columns, coloured by their value.

use plotters::style::text_anchor::{HPos, VPos};

use crate::{
    axis::Unit,
    canvas::{self, Area, Chart, DrawError, Drawing, NARROW, TEXT},
    colour::Colour,
};

const AXIS: u32 = 44;
/// Above the first row, whose label may be higher than the row.
const ABOVE: u32 = 6;
/// Cells are no wider than high beyond this, and not higher than this many pixels.
const CELL: u32 = 56;
const LOWEST_CELL: u32 = 8;

/// A heat map: a value for each pair of a row and a column.
///
/// A value that is not a number has no colour. Where cells have room for it, their value is written in them, unless that is not wanted.
///
/// ```
/// use pipewright_draw::{Chart, HeatMap, Unit};
///
/// let map = HeatMap::new("One way from cpu to cpu", Unit::Nanoseconds)
///     .axes("to cpu", ["0", "1"])
///     .row("0", [f64::NAN, 61.0])
///     .row("1", [61.0, f64::NAN]);
/// assert!(map.draw()?.wide.contains("61 ns"));
/// # Ok::<(), pipewright_draw::DrawError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeatMap {
    title: String,
    unit: Unit,
    log: bool,
    written: bool,
    name: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<f64>)>,
}

impl HeatMap {
    /// No cells yet.
    pub fn new(title: impl Into<String>, unit: Unit) -> Self {
        HeatMap {
            title: title.into(),
            unit,
            log: false,
            written: true,
            name: String::new(),
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// What the columns are, and the label of each.
    #[must_use]
    pub fn axes<L: Into<String>>(
        mut self,
        name: impl Into<String>,
        columns: impl IntoIterator<Item = L>,
    ) -> Self {
        self.name = name.into();
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Colours by ratio instead of difference. Values that are not above zero have no colour then.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Writes no values into cells: for many of them, where the colours are what matters.
    #[must_use]
    pub fn colours_only(mut self) -> Self {
        self.written = false;
        self
    }

    /// A row under those before it. Values beyond the last column are not drawn.
    #[must_use]
    pub fn row(mut self, label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        self.rows.push((label.into(), values.into_iter().collect()));
        self
    }

    fn warp(&self, value: f64) -> f64 {
        if self.log { value.ln() } else { value }
    }

    /// The least and the most of all values that have a colour.
    fn extent(&self) -> Option<(f64, f64)> {
        let values = self
            .rows
            .iter()
            .flat_map(|(_, values)| values.iter().take(self.columns.len()));
        values
            .copied()
            .filter(|value| self.warp(*value).is_finite())
            .fold(None, |extent, value| match extent {
                None => Some((value, value)),
                Some((low, high)) => Some((value.min(low), value.max(high))),
            })
    }

    fn layout(&self, width: u32) -> Layout {
        let longest = self
            .rows
            .iter()
            .map(|(label, _)| canvas::length(label))
            .max()
            .unwrap_or(0);
        let left = longest.min(width / 3) + 12;
        let columns = self.columns.len().max(1) as u32;
        let rows = self.rows.len().max(1) as u32;
        let cell = ((width - left - 16) / columns).clamp(1, 4 * CELL);
        // As high as wide, unless that makes a map of few columns very high or one of many flat.
        let high = cell
            .clamp(LOWEST_CELL, CELL)
            .min((480 / rows).max(LOWEST_CELL));
        let wide = if columns <= 12 && width > NARROW {
            cell.min(2 * CELL)
        } else {
            cell
        };
        Layout { left, wide, high }
    }

    fn height(&self, width: u32) -> u32 {
        self.rows.len().max(1) as u32 * self.layout(width).high + ABOVE + AXIS
    }

    fn on(&self, area: &Area<'_>) -> Result<(), String> {
        let layout = self.layout(area.dim_in_pixel().0);
        let Some((low, high)) = self.extent() else {
            return canvas::nothing(area, "nothing was measured");
        };
        let span = self.warp(high) - self.warp(low);
        for (row, (_, values)) in self.rows.iter().enumerate() {
            for (column, value) in values.iter().take(self.columns.len()).enumerate() {
                let above = self.warp(*value) - self.warp(low);
                if above.is_finite() {
                    let part = if span > 0.0 { above / span } else { 0.0 };
                    self.cell(area, &layout, (row, column), *value, part)?;
                }
            }
        }
        self.row_labels(area, &layout)?;
        self.column_labels(area, &layout)
    }

    fn cell(
        &self,
        area: &Area<'_>,
        layout: &Layout,
        (row, column): (usize, usize),
        value: f64,
        part: f64,
    ) -> Result<(), String> {
        let (x, y) = layout.corner(row, column);
        let (wide, high) = (layout.wide as i32, layout.high as i32);
        let gap = i32::from(wide > 12 && high > 12);
        canvas::fill(
            area,
            (x, y),
            (x + wide - gap, y + high - gap),
            Colour::Heat(part),
        )?;
        let text = self.unit.write(value);
        let room = canvas::length(&text) + 4 <= layout.wide && layout.high >= TEXT + 4;
        if self.written && room {
            let style = canvas::style(Colour::OnHeat(part), HPos::Center, VPos::Center);
            canvas::write(area, &text, (x + wide / 2, y + high / 2), &style)?;
        }
        Ok(())
    }

    fn row_labels(&self, area: &Area<'_>, layout: &Layout) -> Result<(), String> {
        let each = (TEXT + 4).div_ceil(layout.high) as usize;
        let style = canvas::style(Colour::Muted, HPos::Right, VPos::Center);
        for (row, (label, _)) in self.rows.iter().enumerate().step_by(each) {
            let (x, y) = layout.corner(row, 0);
            let label = canvas::cut(label, layout.left - 8);
            canvas::write(area, &label, (x - 6, y + layout.high as i32 / 2), &style)?;
        }
        Ok(())
    }

    fn column_labels(&self, area: &Area<'_>, layout: &Layout) -> Result<(), String> {
        let longest = self
            .columns
            .iter()
            .map(|label| canvas::length(label))
            .max()
            .unwrap_or(0);
        let each = (longest + 8).div_ceil(layout.wide) as usize;
        let (left, bottom) = layout.corner(self.rows.len(), 0);
        let style = canvas::style(Colour::Muted, HPos::Center, VPos::Top);
        for (column, label) in self.columns.iter().enumerate().step_by(each) {
            let x = layout.corner(0, column).0 + layout.wide as i32 / 2;
            // A label that is longer than its cell must not begin before the drawing or end behind it.
            let half = canvas::length(label) as i32 / 2;
            let x = x.max(half).min(area.dim_in_pixel().0 as i32 - half);
            canvas::write(area, label, (x, bottom + 6), &style)?;
        }
        let style = canvas::style(Colour::Muted, HPos::Left, VPos::Top);
        canvas::write(area, &self.name, (left, bottom + 24), &style)
    }
}

struct Layout {
    left: u32,
    wide: u32,
    high: u32,
}

impl Layout {
    fn corner(&self, row: usize, column: usize) -> (i32, i32) {
        (
            (self.left + column as u32 * self.wide) as i32,
            (ABOVE + row as u32 * self.high) as i32,
        )
    }
}

impl Chart for HeatMap {
    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> Result<Drawing, DrawError> {
        let mut drawing = Drawing::of(
            &self.title,
            |width| self.height(width),
            |area| self.on(area),
        )?;
        drawing.scale = self
            .extent()
            .map(|(low, high)| (self.unit.write(low), self.unit.write(high)));
        Ok(drawing)
    }
}
