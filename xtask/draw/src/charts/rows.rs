//! Rows with a label and a drawing beside it, over one axis: what bars, forests and waterfalls have in common.

use plotters::{
    coord::ranged1d::Ranged,
    style::text_anchor::{HPos, VPos},
};

use crate::{
    axis::{Along, Axis, Placed},
    canvas::{self, Area, WIDE},
    colour::Colour,
};

/// Height of a row, of a label above its row on telephones, and of the axis.
const ROW: u32 = 28;
const LABEL: u32 = 18;
const AXIS: u32 = 44;
/// Room at the left on telephones for half of the axis' first number.
const NARROW_LEFT: i32 = 20;
/// Labels take no more of a wide drawing.
const LONGEST_LABEL: u32 = 260;

/// How the rows of a chart lie in a drawing of some width.
pub(super) struct Rows {
    /// Where the axis begins and ends, in pixels.
    left: i32,
    right: i32,
    row: u32,
    above: bool,
    /// Pixels that a label may take.
    label: u32,
    count: usize,
}

impl Rows {
    /// The layout for labels that are as long as `labels` says and values that are written at the right.
    pub(super) fn new<'a>(
        width: u32,
        labels: impl Iterator<Item = &'a str>,
        values: impl Iterator<Item = &'a str>,
    ) -> Rows {
        let (mut count, mut longest) = (0, 0);
        for label in labels {
            count += 1;
            longest = longest.max(canvas::length(label));
        }
        let above = width < WIDE;
        let label = if above {
            width - 8
        } else {
            longest.min(LONGEST_LABEL)
        };
        let value = values.map(canvas::length).max().unwrap_or(0);
        Rows {
            left: if above {
                NARROW_LEFT
            } else {
                label as i32 + 16
            },
            right: width as i32 - value as i32 - 16,
            row: if above { ROW + LABEL } else { ROW },
            above,
            label,
            count,
        }
    }

    pub(super) fn height(&self) -> u32 {
        self.count as u32 * self.row + AXIS
    }

    /// The axis for these numbers.
    pub(super) fn place(&self, axis: &Axis, numbers: impl Iterator<Item = f64>) -> Option<Placed> {
        axis.place(numbers, (self.right - self.left).unsigned_abs(), Along::X)
    }

    pub(super) fn x(&self, axis: &Placed, number: f64) -> i32 {
        axis.map(&number, (self.left, self.right))
    }

    /// Where the values at the right are written.
    pub(super) fn value_at(&self, row: usize) -> (i32, i32) {
        (self.right + 10, self.middle(row))
    }

    /// The middle of what is drawn in a row.
    pub(super) fn middle(&self, row: usize) -> i32 {
        let top = row as u32 * self.row + if self.above { LABEL } else { 0 };
        (top + ROW / 2) as i32
    }

    pub(super) fn bottom(&self) -> i32 {
        (self.count as u32 * self.row) as i32
    }

    /// Draws the grid, the axis and the labels.
    pub(super) fn frame(
        &self,
        area: &Area<'_>,
        axis: &Axis,
        placed: &Placed,
        labels: &[&str],
    ) -> Result<(), String> {
        let bottom = self.bottom();
        for tick in placed.ticks() {
            let x = self.x(placed, *tick);
            canvas::stroke(area, (x, 0), (x, bottom + 4), Colour::Grid, 1)?;
            let style = canvas::style(Colour::Muted, HPos::Center, VPos::Top);
            canvas::write(area, &axis.write(*tick), (x, bottom + 8), &style)?;
        }
        canvas::stroke(
            area,
            (self.left, bottom),
            (self.right, bottom),
            Colour::Muted,
            1,
        )?;
        let style = canvas::style(Colour::Muted, HPos::Left, VPos::Top);
        canvas::write(area, axis.name(), (self.left, bottom + 26), &style)?;
        for (row, label) in labels.iter().enumerate() {
            self.label(area, row, label)?;
        }
        Ok(())
    }

    fn label(&self, area: &Area<'_>, row: usize, label: &str) -> Result<(), String> {
        let label = canvas::cut(label, self.label);
        if self.above {
            let at = (0, self.middle(row) - (ROW / 2) as i32 - 2);
            return canvas::write(
                area,
                &label,
                at,
                &canvas::style(Colour::Ink, HPos::Left, VPos::Center),
            );
        }
        let at = (self.left - 10, self.middle(row));
        canvas::write(
            area,
            &label,
            at,
            &canvas::style(Colour::Ink, HPos::Right, VPos::Center),
        )
    }
}
